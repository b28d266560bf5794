//! An actor: takes work of one stage, runs its handler, ends the lease.
//!
//! ```text
//! doorbell ─► take ─► handler ─► commit | fail | release
//!              └── beats (own thread) until the end is answered
//! ```
//!
//! `room` is what runs, `shard` what is reached together, `stopping` the end.

mod room;
mod shard;
mod stopping;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io, process,
    sync::Arc,
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, TryRecvError, at, never, select, unbounded};
use redis::RedisResult;

use self::{room::Room, shard::Shard};
use crate::{
    connection::{Link, means_wait},
    doorbell::Ring,
    execution::{Control, Execution, Watch},
    handler::{FailurePolicy, Handler, Task},
    keys::{Partitions, new_nonce},
    options::{ActorOptions, KernelOptions, RedisOptions, seconds},
    order::{Order, inboxes},
    presence::{Facts, Presence},
    worker::{Ask, Grant, ITEMS_PER_CALL, Taken, Worker},
};

/// What an actor needs to run.
pub struct Setup {
    /// How to reach Redis.
    pub redis: RedisOptions,
    /// The partitions of the installation.
    pub partitions: Partitions,
    /// Times and bounds of the kernel.
    pub kernel: KernelOptions,
    /// Times and bounds of this actor.
    pub actor: ActorOptions,
    /// The work.
    pub handler: Arc<dyn Handler>,
    /// What follows from failures.
    pub policy: Arc<dyn FailurePolicy>,
}

/// Runs until `signals` says to stop: the first message begins the drain, the second ends it. Returns
/// when every job has ended and its end has been answered.
pub fn run(setup: Setup, signals: &Receiver<()>) -> io::Result<()> {
    let (rings_sender, rings) = unbounded();
    let (ended_sender, ended) = unbounded();
    let (name, host) = worker_name();
    let presence = Presence::start(
        setup.redis.clone(),
        name.clone(),
        Facts {
            stage: setup.handler.stage().to_owned(),
            lane: setup.actor.lane.clone(),
            slots: setup.actor.concurrency.max(1),
            host,
            quarantine: setup.kernel.quarantine.clone(),
        },
    )?;
    let mut actor = Actor {
        name,
        link: Link::new(setup.redis.clone(), Duration::ZERO),
        shards: shard::start(&setup, &rings_sender)?,
        order: Order::new(&setup.partitions),
        rung: (0..setup.partitions.count()).collect(),
        unanswered: BTreeMap::new(),
        room: Room::new(setup.actor.concurrency),
        ready: false,
        presence,
        setup,
        signals,
        rings,
        ended_sender,
        ended,
    };
    while let Ok(()) = actor.take_what_rang() {
        if actor.wait().is_err() {
            break;
        }
    }
    let answered = actor.drain();
    actor.end(answered);
    Ok(())
}

/// Consumer name: unique for the life of one process, never used again; and the host in it.
fn worker_name() -> (String, String) {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    (
        format!("{host}-{}-{}", process::id(), new_nonce()),
        host.to_owned(),
    )
}

struct Actor<'a> {
    setup: Setup,
    name: String,
    /// The connections of `take`.
    link: Link,
    shards: Vec<Shard>,
    /// Partitions in the order to take from.
    order: Order,
    /// Partitions that may have work.
    rung: BTreeSet<usize>,
    /// Partition to the nonce of a take that has not been answered yet.
    unanswered: BTreeMap<usize, String>,
    room: Room,
    /// Redis has answered a take.
    ready: bool,
    presence: Presence,
    signals: &'a Receiver<()>,
    rings: Receiver<Ring>,
    ended_sender: Sender<u64>,
    ended: Receiver<u64>,
}

/// A drain has begun.
struct Draining;

impl Actor<'_> {
    /// Takes from every sound partition that rang, until none gives or there is no room.
    fn take_what_rang(&mut self) -> Result<(), Draining> {
        loop {
            while let Ok(run) = self.ended.try_recv() {
                self.forget(run);
            }
            if self.signals.try_recv() != Err(TryRecvError::Empty) {
                return Err(Draining);
            }
            let mut candidates = self.order.partitions();
            candidates.retain(|one| self.rung.contains(one) && self.shard(*one).is_sound());
            let Some(partition) = candidates.first().copied() else {
                return Ok(());
            };
            if self.room.free() == 0 {
                return Ok(());
            }
            match self.take(partition, self.room.free().min(ITEMS_PER_CALL)) {
                Ok(taken) => self.took(partition, taken),
                Err(error) => {
                    let stage = self.setup.handler.stage();
                    if means_wait(&error) {
                        tracing::warn!(stage, error = %error, "actor.disconnected");
                    } else {
                        tracing::error!(stage, error = %error, "actor.take_refused");
                    }
                    self.shard(partition).broke();
                }
            }
        }
    }

    /// Takes once.
    fn take(&mut self, partition: usize, want: usize) -> RedisResult<Taken> {
        let keys = self.setup.partitions.keys(partition);
        let stage = self.setup.handler.stage();
        let ask = Ask {
            worker: self.name.clone(),
            // Kept until it is answered: a take whose reply was lost is repeated under the same nonce and
            // finds its grants.
            nonce: self
                .unanswered
                .entry(partition)
                .or_insert_with(new_nonce)
                .clone(),
            inboxes: inboxes(
                keys,
                stage,
                &self.setup.actor.lane,
                &self.setup.kernel.quarantine,
            ),
            want,
            holding: self.room.holding(),
        };
        let taken = self.link.once(keys.slot, |connection| {
            Worker {
                connection,
                options: &self.setup.kernel,
            }
            .take(keys, &ask)
        })?;
        self.unanswered.remove(&partition);
        Ok(taken)
    }

    fn took(&mut self, partition: usize, taken: Taken) {
        let granted = !taken.grants.is_empty();
        for grant in taken.grants {
            self.start(partition, grant);
        }
        let paused = taken
            .paused
            .iter()
            .any(|stage| stage == self.setup.handler.stage());
        self.shard(partition)
            .answered(partition, taken.bells, paused);
        if taken.clear {
            self.room.clear();
        }
        if granted {
            self.order.gave(partition);
        } else if !taken.clear {
            self.rung.remove(&partition);
        }
        if !self.ready {
            self.ready = true;
            tracing::info!(stage = self.setup.handler.stage(), "actor.ready");
        }
    }

    /// Waits until something rings or ends, or there is something to look at.
    fn wait(&mut self) -> Result<(), Draining> {
        for shard in &mut self.shards {
            if self.rung.iter().all(|one| !shard.partitions.contains(one)) {
                shard.listen(&self.setup.partitions);
            }
        }
        let wakes_at = self.shards.iter().filter_map(Shard::wakes_at).min();
        select! {
            recv(self.rings) -> ring => if let Ok(ring) = ring { self.rang(ring) },
            recv(self.ended) -> run => if let Ok(run) = run { self.forget(run) },
            recv(self.signals) -> _ => return Err(Draining),
            recv(wakes_at.map_or_else(never, at)) -> _ => {}
        }
        let beat = self.setup.kernel.beat();
        for shard in &mut self.shards {
            let holds = self.room.holds_of(&shard.partitions);
            self.rung.extend(shard.look(holds, beat));
        }
        Ok(())
    }

    fn rang(&mut self, (number, inboxes): Ring) {
        let shard = &mut self.shards[number];
        match inboxes {
            Ok(inboxes) => self
                .rung
                .extend(shard.rang(&inboxes, &self.setup.partitions)),
            Err(error) => {
                let stage = self.setup.handler.stage();
                tracing::warn!(stage, error = %error, "actor.disconnected");
                shard.rang_badly();
            }
        }
    }

    fn start(&mut self, partition: usize, grant: Grant) {
        let shard = self.shard(partition);
        let (beats, ends) = (Arc::clone(&shard.beats), shard.ends.clone());
        let (control, stopped) = Control::pair();
        let run = self.room.enter(partition, grant.crashes, control.clone());
        self.presence.running(self.room.holding());
        let task = Arc::new(Task::new(grant, Arc::clone(&beats)));
        beats.hold(
            &task,
            Box::new({
                let control = control.clone();
                move |pulse| control.on_pulse(pulse)
            }),
        );
        let execution = Execution {
            task,
            handler: Arc::clone(&self.setup.handler),
            policy: Arc::clone(&self.setup.policy),
            beats,
            ends,
            watch: Watch {
                stall_timeout: seconds(self.setup.actor.stall_timeout_s),
                kill_grace: seconds(self.setup.actor.kill_grace_s),
            },
            control,
            stopped,
        };
        let ended = self.ended_sender.clone();
        thread::spawn(move || {
            execution.run();
            // The actor keeps its end until it has heard of every run.
            drop(execution);
            let _ = ended.send(run);
        });
    }

    fn forget(&mut self, run: u64) {
        self.room.leave(run);
        self.presence.running(self.room.holding());
    }

    fn shard(&mut self, partition: usize) -> &mut Shard {
        // One shard has every partition, or each has the one of its number.
        let number = partition.min(self.shards.len() - 1);
        &mut self.shards[number]
    }
}
