//! An actor: takes work of one stage, runs its handler, ends the lease.
//!
//! ```text
//! doorbell ─► take ─► handler ─► commit | fail | release
//!              └── beats (own thread) until the end is answered
//! ```
//!
//! `room` is what runs, `shard` what is reached together, `taking` the loop, `stopping` its end.

mod room;
mod shard;
mod stopping;
mod taking;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io, process,
    sync::Arc,
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, unbounded};

use self::{room::Room, shard::Shard};
use crate::{
    connection::Link,
    control::Control,
    doorbell::Ring,
    execution::{Execution, Watch},
    family::Family,
    handler::{FailurePolicy, Handler, Task},
    keys::{Partitions, new_nonce},
    options::{ActorOptions, KernelOptions, RedisOptions, seconds},
    order::Order,
    presence::{Facts, Presence},
    worker::Grant,
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
        room: Room::new(if setup.kernel.quarantine.is_empty() {
            setup.actor.concurrency
        } else {
            // What lost its workers before has this one to itself.
            1
        }),
        family: Arc::new(Family {
            redis: setup.redis.clone(),
            partitions: setup.partitions.clone(),
            kernel: setup.kernel.clone(),
        }),
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
    family: Arc<Family>,
    signals: &'a Receiver<()>,
    rings: Receiver<Ring>,
    ended_sender: Sender<u64>,
    ended: Receiver<u64>,
}

impl Actor<'_> {
    fn start(&mut self, partition: usize, grant: Grant) {
        let shard = self.shard(partition);
        let (beats, ends) = (Arc::clone(&shard.beats), shard.ends.clone());
        let (control, stopped) = Control::pair();
        let run = self.room.enter(partition, grant.crashes, control.clone());
        self.presence.running(self.room.holding());
        let task = Arc::new(Task::new(
            grant,
            Arc::clone(&beats),
            Arc::clone(&self.family),
        ));
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
