//! An actor: takes work of one stage, runs its handler, ends the lease.
//!
//! ```text
//! doorbell ─► take ─► handler ─► commit | fail | release
//!              └── beats (own thread) until the end is answered
//! ```

mod stopping;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io, process,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, after, select, unbounded};
use redis::{RedisError, RedisResult};

use crate::{
    beats::Beats,
    connection::{Backoff, Link, means_wait},
    doorbell::Doorbell,
    ends::Ends,
    execution::{Control, Execution, Watch},
    handler::{FailurePolicy, Handler, Task},
    keys::{Partitions, new_nonce},
    options::{ActorOptions, KernelOptions, RedisOptions, seconds},
    order::{Order, inboxes},
    worker::{Grant, ITEMS_PER_CALL, Worker},
};

const LANE: &str = "cpu";

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
    let (beats, beating) = Beats::start(
        setup.redis.clone(),
        setup.partitions.clone(),
        setup.kernel.clone(),
    )?;
    let (ends, ending) = Ends::start(
        setup.redis.clone(),
        setup.partitions.clone(),
        setup.kernel.clone(),
    )?;
    let (ended_sender, ended) = unbounded();
    let mut actor = Actor {
        name: worker_name(),
        link: Link::new(setup.redis.clone(), Duration::ZERO),
        doorbell: Doorbell::start(setup.redis.clone())?,
        order: Order::new(&setup.partitions),
        unanswered: BTreeMap::new(),
        running: BTreeMap::new(),
        next_run: 0,
        setup,
        beats: Arc::clone(&beats),
        ends,
        signals,
        ended_sender,
        ended,
    };
    actor.work();
    let answered = actor.drain();
    drop(actor);
    if answered {
        let _ = ending.join();
    }
    beats.stop();
    let _ = beating.join();
    Ok(())
}

/// Consumer name: unique for the life of one process, never used again.
fn worker_name() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}-{}", host.trim(), process::id(), new_nonce())
}

struct Actor<'a> {
    setup: Setup,
    name: String,
    /// The connection of `take`.
    link: Link,
    doorbell: Doorbell,
    beats: Arc<Beats>,
    ends: Ends,
    signals: &'a Receiver<()>,
    /// Partitions in the order to take from.
    order: Order,
    /// Partition to the nonce of a take that has not been answered yet.
    unanswered: BTreeMap<usize, String>,
    running: BTreeMap<u64, Control>,
    next_run: u64,
    ended_sender: Sender<u64>,
    ended: Receiver<u64>,
}

/// A drain has begun.
struct Draining;

impl Actor<'_> {
    fn work(&mut self) {
        let mut bells: BTreeMap<String, String> = BTreeMap::new();
        let mut rung = self.order.all();
        let mut backoff = Backoff::default();
        let mut ready = false;
        loop {
            match self.pass(&mut bells, &mut rung, &mut ready) {
                Err(Draining) => return,
                Ok(Ok(())) => backoff = Backoff::default(),
                Ok(Err(error)) => {
                    let stage = self.setup.handler.stage();
                    if means_wait(&error) {
                        tracing::warn!(stage, error = %error, "actor.disconnected");
                    } else {
                        tracing::error!(stage, error = %error, "actor.take_refused");
                    }
                    if self.recover(&mut backoff).is_err() {
                        return;
                    }
                    rung = self.order.all();
                }
            }
        }
    }

    /// Takes from every partition that rang until none gives; then waits for a ring.
    fn pass(
        &mut self,
        bells: &mut BTreeMap<String, String>,
        rung: &mut BTreeSet<usize>,
        ready: &mut bool,
    ) -> Result<RedisResult<()>, Draining> {
        for partition in self.order.partitions() {
            if !rung.contains(&partition) {
                continue;
            }
            self.await_room()?;
            match self.take(partition, bells) {
                Ok(true) => {}
                Ok(false) => {
                    rung.remove(&partition);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        if !*ready {
            *ready = true;
            tracing::info!(stage = self.setup.handler.stage(), "actor.ready");
        }
        if rung.is_empty() {
            match self.listen(bells)? {
                Ok(partitions) => *rung = partitions,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }

    /// Waits for a free place.
    fn await_room(&mut self) -> Result<(), Draining> {
        self.pause(Duration::ZERO)?;
        while self.running.len() >= self.setup.actor.concurrency.max(1) {
            select! {
                recv(self.ended) -> run => self.forget(run),
                recv(self.signals) -> _ => return Err(Draining),
            }
        }
        Ok(())
    }

    /// Takes once; true when there may be more.
    fn take(
        &mut self,
        partition: usize,
        bells: &mut BTreeMap<String, String>,
    ) -> RedisResult<bool> {
        let free = self.setup.actor.concurrency.max(1) - self.running.len();
        let want = free.min(ITEMS_PER_CALL);
        let stage = self.setup.handler.stage();
        let inboxes = inboxes(self.setup.partitions.keys(partition), stage, LANE);
        // Kept until it is answered: a take whose reply was lost is repeated under the same nonce and
        // finds its grants.
        let nonce = self
            .unanswered
            .entry(partition)
            .or_insert_with(new_nonce)
            .clone();
        let keys = self.setup.partitions.keys(partition);
        let taken = self.link.once(|connection| {
            Worker {
                connection,
                options: &self.setup.kernel,
            }
            .take(keys, &self.name, &inboxes, want, &nonce)
        })?;
        self.unanswered.remove(&partition);
        let granted = !taken.grants.is_empty();
        for grant in taken.grants {
            self.start(grant);
        }
        bells.extend(taken.bells);
        if granted {
            self.order.gave(partition);
        }
        Ok(granted)
    }

    /// Waits for a ring; gives the partitions to take from.
    fn listen(
        &mut self,
        bells: &BTreeMap<String, String>,
    ) -> Result<RedisResult<BTreeSet<usize>>, Draining> {
        self.doorbell.listen(bells.clone().into_iter().collect());
        loop {
            select! {
                recv(self.doorbell.rings) -> rang => {
                    let rang = match rang {
                        Ok(Ok(rang)) => rang,
                        Ok(Err(error)) => return Ok(Err(error)),
                        Err(_) => return Ok(Err(doorbell_gone())),
                    };
                    return Ok(Ok(self.order.rung(&rang)));
                }
                recv(self.ended) -> run => self.forget(run),
                recv(self.signals) -> _ => return Err(Draining),
            }
        }
    }

    /// After a broken connection a worker beats first and takes a beat's time later: what it holds
    /// comes first.
    fn recover(&mut self, backoff: &mut Backoff) -> Result<(), Draining> {
        let broken_at = Instant::now();
        self.beats.hasten();
        loop {
            self.pause(backoff.pause())?;
            if self.beats.answered_at() > broken_at {
                break;
            }
        }
        if self.running.is_empty() {
            return Ok(());
        }
        self.pause(self.setup.kernel.beat())
    }

    /// Waits, and takes note of what ends meanwhile.
    fn pause(&mut self, pause: Duration) -> Result<(), Draining> {
        let end = after(pause);
        loop {
            select! {
                recv(self.ended) -> run => self.forget(run),
                recv(self.signals) -> _ => return Err(Draining),
                recv(end) -> _ => return Ok(()),
            }
        }
    }

    fn start(&mut self, grant: Grant) {
        let task = Arc::new(Task::new(grant, Arc::clone(&self.beats)));
        let (control, stopped) = Control::pair();
        self.beats.hold(
            &task,
            Box::new({
                let control = control.clone();
                move |pulse| control.on_pulse(pulse)
            }),
        );
        let run = self.next_run;
        self.next_run += 1;
        self.running.insert(run, control.clone());
        let execution = Execution {
            task,
            handler: Arc::clone(&self.setup.handler),
            policy: Arc::clone(&self.setup.policy),
            beats: Arc::clone(&self.beats),
            ends: self.ends.clone(),
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

    fn forget(&mut self, run: Result<u64, crossbeam_channel::RecvError>) {
        if let Ok(run) = run {
            self.running.remove(&run);
        }
    }
}

fn doorbell_gone() -> RedisError {
    io::Error::other("the doorbell's thread is gone").into()
}
