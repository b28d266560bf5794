//! Says that this worker is there, as `actors/kernel/presence.py` defines it: a row under `rw:{sys}:workers`
//! that ends when it is not renewed. It never disturbs the work; what fails is tried again at the next turn.

use std::{
    process,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use redis::RedisResult;
use serde::Serialize;

use crate::{
    connection::Link,
    keys::{SYSTEM, slot},
    options::RedisOptions,
    scripts::SystemVerb,
};

/// Pause between two announcements.
const ANNOUNCE: Duration = Duration::from_secs(5);
/// Who was not heard of for so long is listed no more.
const LIFE: Duration = Duration::from_secs(30);
/// How long the end of a process waits for its row to go.
const PATIENCE: Duration = Duration::from_secs(1);

/// What does not change while a worker lives.
pub(crate) struct Facts {
    pub(crate) stage: String,
    pub(crate) lane: String,
    pub(crate) slots: usize,
    pub(crate) host: String,
    pub(crate) quarantine: String,
}

/// A row, see `presence.py`.
#[derive(Serialize)]
struct Row<'a> {
    stage: &'a str,
    lane: &'a str,
    slots: usize,
    running: usize,
    host: &'a str,
    pid: u32,
    version: &'a str,
    uptime_ms: u128,
    life_ms: u128,
    quarantine: &'a str,
    draining: bool,
}

#[derive(Default)]
struct State {
    running: usize,
    draining: bool,
    /// It has to be said at once.
    changed: bool,
    ending: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The end of a worker that changes what its row says.
pub(crate) struct Presence {
    shared: Arc<Shared>,
    withdrawn: Receiver<()>,
}

impl Presence {
    pub(crate) fn start(redis: RedisOptions, name: String, facts: Facts) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (ended, withdrawn) = channel();
        let announcer = Announcer {
            link: Link::new(redis, Duration::ZERO),
            name,
            facts,
            started_at: Instant::now(),
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name("presence".to_owned())
            .spawn(move || {
                announcer.run();
                let _ = ended.send(());
            })?;
        Ok(Self { shared, withdrawn })
    }

    /// So many jobs run now. It is said with the next announcement.
    pub(crate) fn running(&self, jobs: usize) {
        self.shared.lock().running = jobs;
    }

    /// It takes nothing new.
    pub(crate) fn draining(&self) {
        let mut state = self.shared.lock();
        (state.draining, state.changed) = (true, true);
        self.shared.changed.notify_all();
    }

    /// Takes the row away if Redis answers soon; otherwise it goes by itself.
    pub(crate) fn end(&self) {
        self.shared.lock().ending = true;
        self.shared.changed.notify_all();
        let _ = self.withdrawn.recv_timeout(PATIENCE);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread.
struct Announcer {
    link: Link,
    name: String,
    facts: Facts,
    started_at: Instant,
    shared: Arc<Shared>,
}

impl Announcer {
    fn run(mut self) {
        while let Some((running, draining)) = self.said() {
            if let Err(error) = self.announce(running, draining) {
                tracing::debug!(error = %error, "presence.unannounced");
            }
            let waited =
                self.shared
                    .changed
                    .wait_timeout_while(self.shared.lock(), ANNOUNCE, |state| {
                        !state.changed && !state.ending
                    });
            drop(waited);
        }
        let _ = self.call(SystemVerb::Withdraw, &[self.name.clone().into()]);
    }

    /// What is to be said now; `None` at the end.
    fn said(&self) -> Option<(usize, bool)> {
        let mut state = self.shared.lock();
        state.changed = false;
        (!state.ending).then_some((state.running, state.draining))
    }

    fn announce(&mut self, running: usize, draining: bool) -> RedisResult<()> {
        let row = Row {
            stage: &self.facts.stage,
            lane: &self.facts.lane,
            slots: self.facts.slots,
            running,
            host: &self.facts.host,
            pid: process::id(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: self.started_at.elapsed().as_millis(),
            life_ms: LIFE.as_millis(),
            quarantine: &self.facts.quarantine,
            draining,
        };
        let row = serde_json::to_vec(&row).unwrap_or_default();
        let life = LIFE.as_millis().to_string();
        self.call(
            SystemVerb::Announce,
            &[self.name.clone().into(), row, life.into()],
        )
    }

    fn call(&mut self, verb: SystemVerb, arguments: &[Vec<u8>]) -> RedisResult<()> {
        let keys = ["workers", "present"].map(|key| format!("{SYSTEM}{key}"));
        self.link
            .once(slot("sys"), |connection| {
                verb.call(connection, &keys, arguments)
            })
            .map(drop)
    }
}
