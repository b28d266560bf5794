//! Partitions that are reached together: all of them on one server or behind Sentinels; on a Cluster each
//! alone, because its node may be away while the others work. A shard has its own beats, ends and doorbell,
//! so that a node that does not answer holds up nothing of the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::Sender;

use super::Setup;
use crate::{
    beats::Beats,
    connection::Backoff,
    doorbell::{BLOCK, Bells, Doorbell, Ring},
    ends::Ends,
    keys::Partitions,
};

/// For so long the doorbell does not listen to a stage that is paused.
const PAUSE: Duration = Duration::from_secs(1);

/// After so long without trouble the next one is met with short pauses again.
const STEADY: Duration = Duration::from_secs(2);

/// What must happen before work is taken again after a broken connection.
struct Trouble {
    since: Instant,
    /// When it is looked at next.
    check_at: Instant,
    /// The beats have been answered; what is held goes first.
    beaten: bool,
}

pub(super) struct Shard {
    pub(super) partitions: Vec<usize>,
    pub(super) beats: Arc<Beats>,
    pub(super) ends: Ends,
    /// The threads of both.
    threads: [JoinHandle<()>; 2],
    doorbell: Doorbell,
    /// The slot of a partition of it; all are reached together.
    slot: u16,
    /// The doorbell listens, or asks whether Redis answers.
    busy: bool,
    /// Whether Redis answers is not known. The doorbell asks, so that the loop need not wait for it.
    doubted: bool,
    /// By partition: inbox and the id behind which it is listened to.
    bells: BTreeMap<usize, Vec<(String, String)>>,
    /// Partitions in which the stage is paused, and when they are asked again.
    paused: BTreeMap<usize, Instant>,
    trouble: Option<Trouble>,
    broke_at: Option<Instant>,
    backoff: Backoff,
}

/// Starts the threads of every shard.
pub(super) fn start(setup: &Setup, rings: &Sender<Ring>) -> io::Result<Vec<Shard>> {
    let everything: Vec<usize> = (0..setup.partitions.count()).collect();
    let groups = if setup.redis.is_cluster() {
        everything.into_iter().map(|one| vec![one]).collect()
    } else {
        vec![everything]
    };
    groups
        .into_iter()
        .enumerate()
        .map(|(number, partitions)| Shard::start(number, partitions, setup, rings.clone()))
        .collect()
}

impl Shard {
    fn start(
        number: usize,
        partitions: Vec<usize>,
        setup: &Setup,
        rings: Sender<Ring>,
    ) -> io::Result<Self> {
        let (redis, kernel) = (&setup.redis, &setup.kernel);
        let (beats, beating) =
            Beats::start(redis.clone(), setup.partitions.clone(), kernel.clone())?;
        let (ends, ending) = Ends::start(redis.clone(), setup.partitions.clone(), kernel.clone())?;
        Ok(Self {
            slot: setup.partitions.keys(partitions[0]).slot(),
            partitions,
            beats,
            ends,
            threads: [ending, beating],
            doorbell: Doorbell::start(number, redis.clone(), rings)?,
            busy: false,
            doubted: false,
            bells: BTreeMap::new(),
            paused: BTreeMap::new(),
            trouble: None,
            broke_at: None,
            backoff: Backoff::default(),
        })
    }

    /// Whether work may be taken from it.
    pub(super) fn is_sound(&self) -> bool {
        self.trouble.is_none() && !self.doubted
    }

    /// Another shard did not answer. Unless the doorbell hears from this one anyway, it asks before the
    /// loop does.
    pub(super) fn doubt(&mut self) {
        if !self.busy {
            (self.busy, self.doubted) = (true, true);
            self.doorbell.ping(self.slot);
        }
    }

    /// A take was answered: where to listen when it gave nothing, and whether the stage is paused.
    pub(super) fn answered(
        &mut self,
        partition: usize,
        bells: Vec<(String, String)>,
        paused: bool,
    ) {
        if self.broke_at.is_none_or(|at| at.elapsed() > STEADY) {
            self.backoff = Backoff::default();
        }
        if paused {
            self.paused.insert(partition, Instant::now() + PAUSE);
            self.bells.remove(&partition);
        } else if !bells.is_empty() {
            self.bells.insert(partition, bells);
        }
    }

    /// Its connection is of no use. A worker beats first and takes later.
    pub(super) fn broke(&mut self) {
        let now = Instant::now();
        self.beats.hasten();
        self.doubted = true;
        self.broke_at = Some(now);
        self.trouble = Some(Trouble {
            since: now,
            check_at: now + self.backoff.pause(),
            beaten: false,
        });
    }

    /// Begins to listen unless it does already. The doorbell of a single shard must not wait long for some
    /// partitions while it leaves out others.
    pub(super) fn listen(&mut self) {
        let inboxes: Vec<_> = self.bells.values().flatten().cloned().collect();
        if self.busy || !self.is_sound() || inboxes.is_empty() {
            return;
        }
        self.busy = true;
        self.doorbell.listen(Bells {
            slot: self.slot,
            inboxes,
            block: if self.paused.is_empty() { BLOCK } else { PAUSE },
        });
    }

    /// The doorbell has answered; gives the partitions to take from, all when no inbox rang.
    pub(super) fn rang(&mut self, inboxes: &[String], partitions: &Partitions) -> BTreeSet<usize> {
        (self.busy, self.doubted) = (false, false);
        let of = |partition: &&usize| {
            let root = &partitions.keys(**partition).root;
            inboxes.iter().any(|inbox| inbox.starts_with(root))
        };
        let rung: BTreeSet<usize> = self.partitions.iter().filter(of).copied().collect();
        if rung.is_empty() {
            let listened = |partition: &&usize| !self.paused.contains_key(*partition);
            return self.partitions.iter().filter(listened).copied().collect();
        }
        rung
    }

    /// Redis answers.
    pub(super) fn answers(&mut self) {
        (self.busy, self.doubted) = (false, false);
    }

    /// The doorbell's connection broke.
    pub(super) fn rang_badly(&mut self) {
        self.busy = false;
        self.broke();
    }

    /// When there is something to look at.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let pauses = self.paused.values().copied();
        pauses
            .chain(self.trouble.as_ref().map(|trouble| trouble.check_at))
            .min()
    }

    /// Looks whether trouble and pauses are over; gives the partitions to take from. `holds`: whether it
    /// has running jobs.
    pub(super) fn look(&mut self, holds: bool, beat: Duration) -> Vec<usize> {
        let now = Instant::now();
        let mut ready = Vec::new();
        self.paused.retain(|partition, until| {
            let over = *until <= now;
            if over {
                ready.push(*partition);
            }
            !over
        });
        if let Some(trouble) = &mut self.trouble
            && trouble.check_at <= now
        {
            if self.doubted || self.beats.answered_at() <= trouble.since {
                trouble.check_at = now + self.backoff.pause();
                if self.doubted && !self.busy {
                    self.busy = true;
                    self.doorbell.ping(self.slot);
                }
            } else if holds && !trouble.beaten {
                trouble.beaten = true;
                trouble.check_at = now + beat;
            } else {
                self.trouble = None;
                ready.clone_from(&self.partitions);
            }
        }
        ready
    }

    /// Ends the threads. `answered`: whether every end has been answered, and the thread of ends so ends.
    pub(super) fn end(self, answered: bool) {
        let [ending, beating] = self.threads;
        drop(self.ends);
        if answered {
            let _ = ending.join();
        }
        self.beats.stop();
        let _ = beating.join();
    }
}
