//! An actor in a thread whose handler does what a test tells it to.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, unbounded};
use redis::Connection;
use reelway_kernel::{
    actor::{self, Setup},
    handler::{Decision, FailClass, Failure, FailurePolicy, Handler, Outcome, Task},
    keys::Partitions,
    options::{ActorOptions, KernelOptions, RedisOptions},
};

use super::{DEADLINE, Server, call, partition};

type Work = dyn Fn(&Task) -> Result<Outcome, Failure> + Send + Sync;

pub(crate) struct Stage(Box<Work>);

impl Handler for Stage {
    fn stage(&self) -> &'static str {
        "a"
    }

    fn handle(&self, task: &Task) -> Result<Outcome, Failure> {
        (self.0)(task)
    }
}

pub(crate) struct Policy;

impl FailurePolicy for Policy {
    fn decide(&self, _attempt: u32, code: &str) -> Decision {
        Decision {
            class: if code == "STALLED" {
                FailClass::Stalled
            } else {
                FailClass::Transient
            },
            code: code.to_owned(),
            delay_ms: 60_000,
            budget: 3,
            error: format!(r#"{{"code":"{code}"}}"#).into(),
            reason: format!(r#"{{"code":"{code}","message":"m"}}"#).into(),
        }
    }
}

pub(crate) fn done() -> Outcome {
    Outcome::Done {
        result: b"{}".to_vec(),
        event: b"{}".to_vec(),
    }
}

pub(crate) fn until_interrupted(task: &Task) -> Result<Outcome, Failure> {
    let _ = task.interruption().recv();
    Err(Failure::Interrupted)
}

/// An actor in a thread, with short times: leases of a second, beats every quarter.
pub(crate) struct Running {
    pub(crate) signals: Sender<()>,
    pub(crate) thread: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(
        server: &Server,
        change: impl FnOnce(&mut ActorOptions),
        work: impl Fn(&Task) -> Result<Outcome, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(server.options(), 1, |setup| change(&mut setup.actor), work)
    }

    /// The same for any Redis and any number of partitions.
    pub(crate) fn start_with(
        redis: RedisOptions,
        partitions: u32,
        change: impl FnOnce(&mut Setup),
        work: impl Fn(&Task) -> Result<Outcome, Failure> + Send + Sync + 'static,
    ) -> Self {
        let mut setup = Setup {
            redis,
            partitions: Partitions::new(partitions),
            kernel: KernelOptions {
                lease_s: 1.0,
                beat_s: 0.25,
                ..KernelOptions::default()
            },
            actor: ActorOptions {
                concurrency: 2,
                drain_grace_s: 10.0,
                ..ActorOptions::default()
            },
            handler: Arc::new(Stage(Box::new(work))),
            policy: Arc::new(Policy),
        };
        change(&mut setup);
        let (signals, heard) = unbounded();
        let thread = thread::spawn(move || actor::run(setup, &heard).unwrap());
        Self { signals, thread }
    }

    pub(crate) fn stop(self) {
        self.signals.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// An actor that tells what it starts and holds each job until it is let go.
pub(crate) struct Held {
    pub(crate) running: Running,
    started: Receiver<String>,
    go: Sender<()>,
}

impl Held {
    pub(crate) fn start(server: &Server, change: impl FnOnce(&mut Setup)) -> Self {
        let (tell, started) = unbounded();
        let (go, gone) = unbounded::<()>();
        let running = Running::start_with(server.options(), 1, change, move |task| {
            tell.send(task.grant.job.clone()).unwrap();
            gone.recv().unwrap();
            Ok(done())
        });
        Self {
            running,
            started,
            go,
        }
    }

    /// The next job that it starts.
    pub(crate) fn next(&self) -> String {
        self.started.recv_timeout(DEADLINE).unwrap()
    }

    /// Lets one job go.
    pub(crate) fn let_go(&self) {
        self.go.send(()).unwrap();
    }
}

/// One pass of the reaper, with a recent answer as its proof of time.
pub(crate) fn reap(connection: &mut Connection) {
    let (seconds, microseconds): (u64, u64) = redis::cmd("TIME").query(connection).unwrap();
    let now = (seconds * 1000 + microseconds / 1000).to_string();
    let reason = r#"{"code":"WORKER_LOST","message":"m"}"#;
    let arguments = ["1000", &now, "3", "{}", reason].map(str::to_owned);
    call(connection, "reap", &[], &arguments).unwrap();
}

pub(crate) fn cancel(connection: &mut Connection, job: &str) {
    let arguments = [job.to_owned(), "user".to_owned()];
    call(connection, "cancel", &[partition().job(job)], &arguments).unwrap();
}
