//! The actor loop against a live Redis: handlers that do what a test tells them to.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, unbounded};
use redis::Connection;
use reelway_kernel::{
    actor::{self, Setup},
    handler::{Decision, FailClass, Failure, FailurePolicy, Handler, Outcome, Task},
    installation::{self, Unfit},
    keys::Partitions,
    options::{ActorOptions, KernelOptions},
};
use support::{Server, call, field, hash, partition, submit, wait_until};

type Work = dyn Fn(&Task) -> Result<Outcome, Failure> + Send + Sync;

struct Stage(Box<Work>);

impl Handler for Stage {
    fn stage(&self) -> &'static str {
        "a"
    }

    fn handle(&self, task: &Task) -> Result<Outcome, Failure> {
        (self.0)(task)
    }
}

struct Policy;

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

fn done() -> Outcome {
    Outcome::Done {
        result: b"{}".to_vec(),
        event: b"{}".to_vec(),
    }
}

fn until_interrupted(task: &Task) -> Result<Outcome, Failure> {
    let _ = task.interruption().recv();
    Err(Failure::Interrupted)
}

/// An actor in a thread, with short times: leases of a second, beats every quarter.
struct Running {
    signals: Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(
        server: &Server,
        change: impl FnOnce(&mut ActorOptions),
        work: impl Fn(&Task) -> Result<Outcome, Failure> + Send + Sync + 'static,
    ) -> Self {
        let mut options = ActorOptions {
            concurrency: 2,
            drain_grace_s: 10.0,
            ..ActorOptions::default()
        };
        change(&mut options);
        let setup = Setup {
            redis: server.options(),
            partitions: Partitions::new(1),
            kernel: KernelOptions {
                lease_s: 1.0,
                beat_s: 0.25,
                ..KernelOptions::default()
            },
            actor: options,
            handler: Arc::new(Stage(Box::new(work))),
            policy: Arc::new(Policy),
        };
        let (signals, heard) = unbounded();
        let thread = thread::spawn(move || actor::run(setup, &heard).unwrap());
        Self { signals, thread }
    }

    fn stop(self) {
        self.signals.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// One pass of the reaper, with a recent answer as its proof of time.
fn reap(connection: &mut Connection) {
    let (seconds, microseconds): (u64, u64) = redis::cmd("TIME").query(connection).unwrap();
    let now = (seconds * 1000 + microseconds / 1000).to_string();
    let reason = r#"{"code":"WORKER_LOST","message":"m"}"#;
    let arguments = ["1000", &now, "3", "{}", reason].map(str::to_owned);
    call(connection, "reap", &[], &arguments).unwrap();
}

fn cancel(connection: &mut Connection, job: &str) {
    let arguments = [job.to_owned(), "user".to_owned()];
    call(connection, "cancel", &[partition().job(job)], &arguments).unwrap();
}

fn started() -> (Sender<Instant>, Receiver<Instant>) {
    unbounded()
}

#[test]
fn an_idle_actor_starts_a_new_job_at_once() {
    let server = Server::start();
    let mut connection = server.connection();
    let (tell, told) = started();
    let running = Running::start(
        &server,
        |_| {},
        move |_| {
            tell.send(Instant::now()).unwrap();
            Ok(done())
        },
    );
    for number in 0..5 {
        let job = format!("j00-{number}");
        let before = Instant::now();
        submit(&mut connection, &job, "{}");
        let at = told.recv_timeout(Duration::from_secs(2)).unwrap();
        assert!(
            at - before < Duration::from_millis(250),
            "{:?}",
            at - before
        );
        wait_until("it completes", || {
            field(&mut connection, &job, "state") == "completed"
        });
    }
    running.stop();
}

#[test]
fn a_result_leads_to_the_next_stage_and_progress_travels() {
    let server = Server::start();
    let mut connection = server.connection();
    let (go, gone) = unbounded::<()>();
    let running = Running::start(
        &server,
        |_| {},
        move |task| {
            assert_eq!(task.grant.input, br#"{"n":1}"#);
            task.report(Some(40.0), br#"{"stage":"a"}"#.to_vec(), true);
            task.report(Some(20.0), br#"{"stage":"a","eta_s":1}"#.to_vec(), true);
            gone.recv().unwrap();
            Ok(Outcome::Next {
                stage: "b".to_owned(),
                lane: "cpu".to_owned(),
                input: br#"{"n":2}"#.to_vec(),
                refs: vec!["work/x".to_owned()],
            })
        },
    );
    submit(&mut connection, "j00-a", r#"{"n":1}"#);
    wait_until("progress arrives", || {
        field(&mut connection, "j00-a", "progress").contains("eta_s")
    });
    assert_eq!(field(&mut connection, "j00-a", "percent"), "40");
    go.send(()).unwrap();
    wait_until("the next stage waits", || {
        field(&mut connection, "j00-a", "stage") == "b"
    });
    let job = hash(&mut connection, "j00-a");
    assert_eq!(
        (job["state"].as_str(), job["refs"].as_str()),
        ("queued", r#"["work/x"]"#)
    );
    assert_eq!(job["input"], r#"{"n":2}"#);
    running.stop();
}

#[test]
fn a_working_job_keeps_its_lease() {
    let server = Server::start();
    let mut connection = server.connection();
    let (go, gone) = unbounded::<()>();
    let running = Running::start(
        &server,
        |_| {},
        move |_| {
            gone.recv().unwrap();
            Ok(done())
        },
    );
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    let begun = Instant::now();
    // Three leases long.
    wait_until("time passes", || {
        reap(&mut connection);
        begun.elapsed() > Duration::from_secs(3)
    });
    go.send(()).unwrap();
    wait_until("it completes", || {
        field(&mut connection, "j00-a", "state") == "completed"
    });
    assert_eq!(field(&mut connection, "j00-a", "crashes"), "0");
    assert_eq!(field(&mut connection, "j00-a", "takes"), "1");
    running.stop();
}

#[test]
fn a_cancelled_job_is_interrupted() {
    let server = Server::start();
    let mut connection = server.connection();
    let running = Running::start(&server, |_| {}, until_interrupted);
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    cancel(&mut connection, "j00-a");
    wait_until("it is cancelled", || {
        field(&mut connection, "j00-a", "state") == "cancelled"
    });
    running.stop();
}

#[test]
fn a_job_that_somebody_else_took_is_left_alone() {
    let server = Server::start();
    let mut connection = server.connection();
    let (tell, told) = unbounded();
    let running = Running::start(
        &server,
        |_| {},
        move |task| {
            let ended = until_interrupted(task);
            tell.send(()).unwrap();
            ended
        },
    );
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    let key = partition().job("j00-a");
    redis::cmd("HSET")
        .arg(key)
        .arg("fence")
        .arg("9.other")
        .exec(&mut connection)
        .unwrap();
    told.recv_timeout(Duration::from_secs(5)).unwrap();
    running.stop();
    let job = hash(&mut connection, "j00-a");
    assert_eq!(
        (job["state"].as_str(), job["fence"].as_str()),
        ("running", "9.other")
    );
    assert_eq!(job["attempt"], "0");
}

#[test]
fn a_job_that_stands_still_fails_as_stalled() {
    let server = Server::start();
    let mut connection = server.connection();
    let running = Running::start(
        &server,
        |options| options.stall_timeout_s = 0.4,
        |task| {
            for _ in 0..5 {
                thread::sleep(Duration::from_millis(150));
                task.moved();
            }
            // Reports without movement do not count.
            while task.interruption().recv_timeout(Duration::from_millis(20))
                == Err(crossbeam_channel::RecvTimeoutError::Timeout)
            {
                task.report(Some(10.0), b"{}".to_vec(), false);
            }
            Err(Failure::Interrupted)
        },
    );
    submit(&mut connection, "j00-a", "{}");
    wait_until("it is delayed", || {
        field(&mut connection, "j00-a", "state") == "delayed"
    });
    assert!(field(&mut connection, "j00-a", "reason").contains("STALLED"));
    assert_eq!(field(&mut connection, "j00-a", "attempt"), "1");
    running.stop();
}

#[test]
fn a_handler_that_does_not_end_loses_its_lease_to_the_reaper() {
    let server = Server::start();
    let mut connection = server.connection();
    let (go, gone) = unbounded::<()>();
    let change = |options: &mut ActorOptions| {
        options.stall_timeout_s = 0.2;
        options.kill_grace_s = 0.3;
    };
    let running = Running::start(&server, change, move |_| {
        gone.recv().unwrap();
        Err(Failure::Interrupted)
    });
    submit(&mut connection, "j00-a", "{}");
    wait_until("it is reaped", || {
        reap(&mut connection);
        field(&mut connection, "j00-a", "crashes") == "1"
    });
    // The same actor may have taken it again, so both runs are let go.
    go.send(()).unwrap();
    go.send(()).unwrap();
    running.stop();
}

#[test]
fn failures_and_panics_become_codes() {
    let server = Server::start();
    let mut connection = server.connection();
    let running = Running::start(
        &server,
        |_| {},
        |task| match task.grant.job.as_str() {
            "j00-known" => Err(Failure::Failed {
                code: "NOT_MEDIA".to_owned(),
                detail: "words".to_owned(),
            }),
            _ => panic!("a bug"),
        },
    );
    for (job, code) in [("j00-known", "NOT_MEDIA"), ("j00-bug", "INTERNAL")] {
        submit(&mut connection, job, "{}");
        wait_until("it is delayed", || {
            field(&mut connection, job, "state") == "delayed"
        });
        assert!(field(&mut connection, job, "reason").contains(code));
    }
    running.stop();
}

#[test]
fn a_drain_finishes_what_runs_and_takes_nothing_new() {
    let server = Server::start();
    let mut connection = server.connection();
    let (go, gone) = unbounded::<()>();
    let running = Running::start(
        &server,
        |options| options.concurrency = 1,
        move |_| {
            gone.recv().unwrap();
            Ok(done())
        },
    );
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    submit(&mut connection, "j00-b", "{}");
    running.signals.send(()).unwrap();
    let begun = Instant::now();
    // Two leases long: the beats outlive the drain.
    wait_until("time passes", || {
        reap(&mut connection);
        begun.elapsed() > Duration::from_secs(2)
    });
    go.send(()).unwrap();
    running.thread.join().unwrap();
    let job = hash(&mut connection, "j00-a");
    assert_eq!(
        (job["state"].as_str(), job["crashes"].as_str()),
        ("completed", "0")
    );
    assert_eq!(field(&mut connection, "j00-b", "state"), "queued");
}

#[test]
fn what_does_not_fit_into_the_grace_is_given_back() {
    let server = Server::start();
    let mut connection = server.connection();
    for signals in [1, 2] {
        let grace_s = if signals == 1 { 0.3 } else { 600.0 };
        let job = format!("j00-{signals}");
        let running = Running::start(
            &server,
            |options| options.drain_grace_s = grace_s,
            until_interrupted,
        );
        submit(&mut connection, &job, "{}");
        wait_until("it runs", || {
            field(&mut connection, &job, "state") == "running"
        });
        for _ in 0..signals {
            running.signals.send(()).unwrap();
        }
        running.thread.join().unwrap();
        let found = hash(&mut connection, &job);
        assert_eq!(found["state"], "queued");
        assert_eq!(found["inbox"], "in:a:cpu:again");
        assert_eq!(
            (found["attempt"].as_str(), found["crashes"].as_str()),
            ("0", "0")
        );
        assert!(found["reason"].contains("WORKER_STOPPING"));
        // Out of the way of the next round.
        cancel(&mut connection, &job);
    }
}

#[test]
fn work_goes_on_over_a_crash_of_redis() {
    let server = Server::start();
    let mut connection = server.connection();
    let (go, gone) = unbounded::<()>();
    let count = Arc::new(AtomicUsize::new(0));
    let running = Running::start(&server, |_| {}, {
        let count = Arc::clone(&count);
        move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            gone.recv().unwrap();
            Ok(done())
        }
    });
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || count.load(Ordering::SeqCst) == 1);
    server.kill();
    go.send(()).unwrap();
    server.start_again();
    let mut connection = server.connection();
    wait_until("it completes", || {
        field(&mut connection, "j00-a", "state") == "completed"
    });
    submit(&mut connection, "j00-b", "{}");
    go.send(()).unwrap();
    wait_until("the next one too", || {
        field(&mut connection, "j00-b", "state") == "completed"
    });
    assert_eq!(count.load(Ordering::SeqCst), 2);
    running.stop();
}

#[test]
fn an_actor_stops_although_redis_is_gone() {
    let server = Server::start();
    let mut connection = server.connection();
    let change = |options: &mut ActorOptions| {
        options.drain_grace_s = 0.1;
        options.kill_grace_s = 0.2;
    };
    let running = Running::start(&server, change, until_interrupted);
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    server.kill();
    let begun = Instant::now();
    running.stop();
    assert!(begun.elapsed() < Duration::from_secs(4));
    server.start_again();
}

#[test]
fn a_redis_that_does_not_fit_is_refused() {
    let server = Server::start();
    let mut connection = server.connection();
    let (_signals, heard) = unbounded();
    let options = server.options();
    installation::check(&options, &Partitions::new(4), &heard).unwrap();
    let other = installation::check(&options, &Partitions::new(5), &heard).unwrap_err();
    assert!(other.to_string().contains("made with 4"), "{other}");
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory-policy")
        .arg("allkeys-lru")
        .exec(&mut connection)
        .unwrap();
    let evicting = installation::check(&options, &Partitions::new(4), &heard);
    assert!(matches!(evicting, Err(Unfit::Evicts(policy)) if policy == "allkeys-lru"));
}
