//! Heartbeats, in a thread of their own with a connection of their own.
//!
//! A busy handler, a long drain or a slow `take` must not look like a dead worker. A job is beaten from
//! the moment `take` returned until its end has been answered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use redis::RedisResult;

use crate::{
    connection::{Backoff, Link, means_wait},
    handler::Task,
    keys::Partitions,
    options::{KernelOptions, RedisOptions},
    worker::{Beat, ITEMS_PER_CALL, Pulse, Worker},
};

/// Shortest time between two beats that carry progress of one job.
const REPORT: Duration = Duration::from_millis(250);

/// Hears the answers of one lease's beats, in the thread of beats.
pub type OnPulse = Box<dyn Fn(Pulse) + Send + Sync>;

struct Held {
    task: Arc<Task>,
    on_pulse: Arc<OnPulse>,
    /// Progress waits to travel. Set by the handler, cleared by the thread.
    dirty: bool,
    /// When progress last travelled. Written by the thread.
    reported_at: Option<Instant>,
}

struct State {
    held: BTreeMap<(String, String), Held>,
    /// When every lease is renewed next. Written by the thread, and by `hasten`.
    beat_at: Instant,
    /// When Redis last answered, or had nothing to answer. Written by the thread.
    answered_at: Instant,
    stopping: bool,
}

/// Renews every held lease at the interval of the options.
pub struct Beats {
    state: Mutex<State>,
    changed: Condvar,
    options: KernelOptions,
    partitions: Partitions,
}

struct Due {
    beat: Beat,
    on_pulse: Arc<OnPulse>,
}

impl Beats {
    /// Starts the thread.
    pub(crate) fn start(
        redis: RedisOptions,
        partitions: Partitions,
        options: KernelOptions,
    ) -> std::io::Result<(Arc<Self>, JoinHandle<()>)> {
        let now = Instant::now();
        let beats = Arc::new(Self {
            state: Mutex::new(State {
                held: BTreeMap::new(),
                beat_at: now + options.beat(),
                answered_at: now,
                stopping: false,
            }),
            changed: Condvar::new(),
            options,
            partitions,
        });
        let thread = thread::Builder::new().name("beats".to_owned()).spawn({
            let beats = Arc::clone(&beats);
            move || beats.run(Link::new(redis, Duration::ZERO))
        })?;
        Ok((beats, thread))
    }

    pub(crate) fn hold(&self, task: &Arc<Task>, on_pulse: OnPulse) {
        let held = Held {
            on_pulse: Arc::new(on_pulse),
            dirty: false,
            reported_at: None,
            task: Arc::clone(task),
        };
        self.lock().held.insert(key(task), held);
    }

    pub(crate) fn let_go(&self, task: &Task) {
        self.lock().held.remove(&key(task));
    }

    /// Progress of the task changed; it travels within [`REPORT`].
    pub(crate) fn report(&self, task: &Task) {
        let mut state = self.lock();
        if let Some(held) = state.held.get_mut(&key(task))
            && !held.dirty
        {
            held.dirty = true;
            self.changed.notify_all();
        }
    }

    /// Beats now: after a connection break a worker beats before it takes.
    pub(crate) fn hasten(&self) {
        self.lock().beat_at = Instant::now();
        self.changed.notify_all();
    }

    /// When Redis last answered a beat.
    pub(crate) fn answered_at(&self) -> Instant {
        self.lock().answered_at
    }

    /// Ends the thread; for after the last job has ended.
    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut link: Link) {
        let mut backoff = Backoff::default();
        while let Some(due) = self.due() {
            match self.send(&mut link, &due) {
                Ok(()) => {
                    self.lock().answered_at = Instant::now();
                    backoff = Backoff::default();
                }
                Err(error) => {
                    // Work goes on: only FENCED stops it. The lease may still be renewed in time, or
                    // given back by a beat.
                    tracing::warn!(error = %error, leases = due.len(), "beats.unanswered");
                    self.wait(backoff.pause());
                    self.lock().beat_at = Instant::now();
                }
            }
        }
    }

    fn wait(&self, pause: Duration) {
        let _ = self
            .changed
            .wait_timeout_while(self.lock(), pause, |state| !state.stopping);
    }

    /// Blocks until beats are due; `None` when stopping.
    fn due(&self) -> Option<Vec<Due>> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            let now = Instant::now();
            let wait = state.next_at().saturating_duration_since(now);
            if wait > Duration::ZERO {
                let waited = self.changed.wait_timeout(state, wait);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let everything = now >= state.beat_at;
            if everything {
                state.beat_at = now + self.options.beat();
            }
            let due = state
                .held
                .values_mut()
                .filter(|held| everything || held.reports_at().is_some_and(|at| now >= at))
                .map(|held| held.beat(now))
                .collect();
            return Some(due);
        }
    }

    fn send(&self, link: &mut Link, due: &[Due]) -> RedisResult<()> {
        let mut by_partition: BTreeMap<usize, Vec<&Due>> = BTreeMap::new();
        for item in due {
            if let Some(partition) = self.partitions.of_job(&item.beat.job) {
                by_partition.entry(partition).or_default().push(item);
            }
        }
        let mut refused = Ok(());
        for (partition, items) in by_partition {
            match self.send_to(link, partition, &items) {
                // The server is away: so it is for the others.
                Err(error) if means_wait(&error) => return Err(error),
                // What one partition holds does not keep the others from being beaten.
                Err(error) => refused = Err(error),
                Ok(()) => {}
            }
        }
        refused
    }

    fn send_to(&self, link: &mut Link, partition: usize, items: &[&Due]) -> RedisResult<()> {
        let keys = self.partitions.keys(partition);
        for page in items.chunks(ITEMS_PER_CALL) {
            let beats: Vec<Beat> = page.iter().map(|item| item.beat.clone()).collect();
            let pulses = link.once(keys.slot(), |connection| {
                Worker {
                    connection,
                    options: &self.options,
                }
                .beat(keys, &beats)
            })?;
            for (item, pulse) in page.iter().zip(pulses) {
                (item.on_pulse)(pulse);
            }
        }
        Ok(())
    }
}

impl State {
    fn next_at(&self) -> Instant {
        self.held
            .values()
            .filter_map(Held::reports_at)
            .fold(self.beat_at, Instant::min)
    }
}

impl Held {
    /// When its progress travels, if any waits.
    fn reports_at(&self) -> Option<Instant> {
        self.dirty.then(|| {
            self.reported_at
                .map_or_else(Instant::now, |reported_at| reported_at + REPORT)
        })
    }

    fn beat(&mut self, now: Instant) -> Due {
        let report = self.dirty.then(|| self.task.reported());
        if self.dirty {
            self.dirty = false;
            self.reported_at = Some(now);
        }
        let (job, fence) = self.task.lease();
        Due {
            beat: Beat {
                job: job.to_owned(),
                fence: fence.to_owned(),
                percent: report.as_ref().map(|report| report.percent),
                progress: report.map_or_else(|| b"{}".to_vec(), |report| report.progress),
            },
            on_pulse: Arc::clone(&self.on_pulse),
        }
    }
}

fn key(task: &Task) -> (String, String) {
    let (job, fence) = task.lease();
    (job.to_owned(), fence.to_owned())
}
