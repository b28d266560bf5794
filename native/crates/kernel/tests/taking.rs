//! What an actor takes and what it leaves: suspects, paused stages, lanes, quarantine, children; and that it
//! says it is there.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use crossbeam_channel::{Receiver, Sender, unbounded};
use redis::Connection;
use reelway_kernel::{
    actor::Setup,
    handler::{Child, Failure, OnChildFailure, Outcome, Task},
    options::KernelOptions,
    worker::{Ask, Fail, FailClass, Worker},
};
use serde_json::Value;
use support::{
    Server, call, field, hash, partition,
    running::{Running, done, reap},
    submit, wait_until,
};

/// An actor that tells what it starts and holds each job until it is let go.
struct Held {
    running: Running,
    started: Receiver<String>,
    go: Sender<()>,
}

impl Held {
    fn start(server: &Server, change: impl FnOnce(&mut Setup)) -> Self {
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

    fn next(&self) -> String {
        self.started.recv_timeout(support::DEADLINE).unwrap()
    }

    fn let_go(&self) {
        self.go.send(()).unwrap();
    }
}

/// Another worker takes what there is; its leases end after `lease_s`.
fn take_elsewhere(
    connection: &mut Connection,
    lease_s: f64,
    nonce: &str,
) -> Option<(String, String)> {
    let options = KernelOptions {
        lease_s,
        ..KernelOptions::default()
    };
    let ask = Ask {
        worker: "elsewhere".to_owned(),
        nonce: nonce.to_owned(),
        inboxes: ["again", "alone", "normal"]
            .map(|name| partition().inbox("a", "cpu", name))
            .to_vec(),
        want: 1,
        holding: 0,
    };
    let mut worker = Worker {
        connection,
        options: &options,
    };
    let mut grants = worker.take(&partition(), &ask).unwrap().grants;
    grants.pop().map(|grant| (grant.job, grant.fence))
}

/// A job that has cost two workers.
fn submit_suspect(connection: &mut Connection, job: &str) {
    submit(connection, job, "{}");
    for crash in ["1", "2"] {
        take_elsewhere(connection, 0.001, crash).unwrap();
        wait_until("it is reaped", || {
            reap(connection);
            field(connection, job, "crashes") == crash
        });
    }
    assert_eq!(field(connection, job, "inbox"), "in:a:cpu:alone");
}

#[test]
fn a_suspect_job_gets_the_worker_to_itself() {
    let server = Server::start();
    let mut connection = server.connection();
    submit_suspect(&mut connection, "j00-suspect");
    let (_, fence) = take_elsewhere(&mut connection, 60.0, "3").unwrap();
    let held = Held::start(&server, |setup| setup.actor.concurrency = 3);
    submit(&mut connection, "j00-long", "{}");
    assert_eq!(held.next(), "j00-long");

    let arguments = ["j00-suspect".to_owned(), fence, "{}".to_owned()];
    let key = partition().job("j00-suspect");
    call(&mut connection, "release", &[key], &arguments).unwrap();
    wait_until("the actor is to make room", || {
        redis::cmd("EXISTS")
            .arg(format!("{}clearing:in:a:cpu:alone", partition().root))
            .query::<bool>(&mut connection)
            .unwrap()
    });
    submit(&mut connection, "j00-late", "{}");
    held.let_go();
    assert_eq!(held.next(), "j00-suspect");
    assert_eq!(field(&mut connection, "j00-long", "state"), "completed");
    // It had rung before the suspect began, and there were two free places.
    assert_eq!(field(&mut connection, "j00-late", "state"), "queued");
    held.let_go();
    assert_eq!(held.next(), "j00-late");
    assert_eq!(field(&mut connection, "j00-suspect", "state"), "completed");
    held.let_go();
    held.running.stop();
}

#[test]
fn a_paused_stage_waits_and_goes_on_by_itself() {
    let server = Server::start();
    let mut connection = server.connection();
    let key = format!("{}paused", partition().root);
    redis::cmd("HSET")
        .arg(&key)
        .arg("a")
        .arg("{}")
        .exec(&mut connection)
        .unwrap();
    submit(&mut connection, "j00-a", "{}");
    let held = Held::start(&server, |_| {});
    wait_until("the actor has asked", || {
        let clients: String = redis::cmd("CLIENT")
            .arg("LIST")
            .query(&mut connection)
            .unwrap();
        clients.contains("cmd=evalsha") || clients.contains("cmd=eval")
    });
    assert_eq!(field(&mut connection, "j00-a", "state"), "queued");
    redis::cmd("DEL").arg(&key).exec(&mut connection).unwrap();
    assert_eq!(held.next(), "j00-a");
    held.let_go();
    submit(&mut connection, "j00-b", "{}");
    assert_eq!(held.next(), "j00-b");
    held.let_go();
    held.running.stop();
}

#[test]
fn an_actor_takes_the_work_of_its_lane() {
    let server = Server::start();
    let mut connection = server.connection();
    let held = Held::start(&server, |setup| "gpu".clone_into(&mut setup.actor.lane));
    submit(&mut connection, "j00-cpu", "{}");
    let arguments = [
        "j00-gpu", "default", "media", "a", "gpu", "", "normal", "1", "86400000", "0", "",
        "86400000", "100000", "1000000", "{}", "{}", "[]",
    ]
    .map(str::to_owned);
    call(
        &mut connection,
        "submit",
        &[partition().job("j00-gpu")],
        &arguments,
    )
    .unwrap();
    assert_eq!(held.next(), "j00-gpu");
    held.let_go();
    held.running.stop();
    assert_eq!(field(&mut connection, "j00-cpu", "state"), "queued");
}

#[test]
fn a_quarantine_worker_takes_what_was_replayed_to_it_and_nothing_else() {
    let server = Server::start();
    let mut connection = server.connection();
    submit(&mut connection, "j00-bad", "{}");
    let (job, fence) = take_elsewhere(&mut connection, 60.0, "x").unwrap();
    let fail = Fail {
        job,
        fence,
        class: FailClass::Permanent,
        delay_ms: 0,
        budget: 1,
        error: b"{}".to_vec(),
        reason: b"{}".to_vec(),
    };
    let options = KernelOptions::default();
    let mut worker = Worker {
        connection: &mut connection,
        options: &options,
    };
    worker.fail(&partition(), &[fail]).unwrap();
    submit(&mut connection, "j00-good", "{}");
    let held = Held::start(&server, |setup| {
        "bay".clone_into(&mut setup.kernel.quarantine);
    });
    let arguments = ["j00-bad", "86400000", "here", "bay"].map(str::to_owned);
    call(
        &mut connection,
        "replay",
        &[partition().job("j00-bad")],
        &arguments,
    )
    .unwrap();
    assert_eq!(held.next(), "j00-bad");
    held.let_go();
    held.running.stop();
    assert_eq!(field(&mut connection, "j00-good", "state"), "queued");
}

#[test]
fn a_job_has_children_and_reads_how_they_ended() {
    let server = Server::start();
    let mut connection = server.connection();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let running = Running::start(&server, |_| {}, {
        let seen = Arc::clone(&seen);
        move |task| family(task, &seen)
    });
    submit(&mut connection, "j00-a", "{}");
    wait_until("the parent completes", || {
        field(&mut connection, "j00-a", "state") == "completed"
    });
    running.stop();
    let seen = seen.lock().unwrap();
    let expected = [
        (1, "j00-a.1", "completed"),
        (2, "j00-a.2", "completed"),
        (3, "j00-a.3", "completed"),
    ];
    let expected: Vec<_> = expected
        .map(|(number, job, state)| (number, job.to_owned(), state.to_owned()))
        .to_vec();
    assert_eq!(*seen, expected);
    let parent = hash(&mut connection, "j00-a");
    assert_eq!(parent["takes"], "2");
    assert_eq!(parent["children"], "3");
}

fn family(task: &Task, seen: &Mutex<Vec<(u32, String, String)>>) -> Result<Outcome, Failure> {
    if !task.grant.parent.is_empty() {
        assert_eq!(task.grant.parent, "j00-a");
        return Ok(done());
    }
    if task.grant.input == b"{}" {
        let child = |number: u32| Child {
            number,
            kind: "media".to_owned(),
            stage: "a".to_owned(),
            lane: "cpu".to_owned(),
            rescue: false,
            priority: None,
            listed: false,
            spec: b"{}".to_vec(),
            input: b"{}".to_vec(),
            refs: Vec::new(),
        };
        let children: Vec<Child> = (1..=3).map(child).collect();
        task.spawn(&children, OnChildFailure::GoOn)?;
        return Ok(Outcome::Split {
            stage: "a".to_owned(),
            lane: "cpu".to_owned(),
            rescue: false,
            reach: 80.0,
            input: br#"{"joins":true}"#.to_vec(),
            refs: Vec::new(),
        });
    }
    assert_eq!(task.grant.children, 3);
    let rows = task.children(1, 10)?;
    let rows = rows.into_iter().map(|row| (row.number, row.job, row.state));
    seen.lock().unwrap().extend(rows);
    Ok(done())
}

#[test]
fn an_actor_says_that_it_is_there() {
    let server = Server::start();
    let mut connection = server.connection();
    let held = Held::start(&server, |_| {});
    submit(&mut connection, "j00-a", "{}");
    held.next();
    let mut rows = HashMap::new();
    wait_until("it is listed", || {
        rows = listed(&mut connection);
        !rows.is_empty()
    });
    let owner = field(&mut connection, "j00-a", "owner");
    let row = &rows[&owner];
    assert_eq!(row["stage"], "a");
    assert_eq!(row["lane"], "cpu");
    assert_eq!(row["slots"], 2);
    assert_eq!(row["pid"], std::process::id());
    assert_eq!(row["draining"], false);
    assert!(row["life_ms"].as_u64().unwrap() > 0);
    held.running.signals.send(()).unwrap();
    wait_until("it says that it drains", || {
        listed(&mut connection)[&owner]["draining"] == true
    });
    assert_eq!(listed(&mut connection)[&owner]["running"], 1);
    held.let_go();
    held.running.thread.join().unwrap();
    assert!(listed(&mut connection).is_empty());
}

fn listed(connection: &mut Connection) -> HashMap<String, Value> {
    let rows: HashMap<String, String> = redis::cmd("HGETALL")
        .arg("rw:{sys}:workers")
        .query(connection)
        .unwrap();
    rows.into_iter()
        .map(|(name, row)| (name, serde_json::from_str(&row).unwrap()))
        .collect()
}
