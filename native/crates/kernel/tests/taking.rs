//! What an actor takes and what it leaves: suspects, paused stages, lanes and quarantine.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use redis::Connection;
use reelway_kernel::{
    options::KernelOptions,
    worker::{Ask, Fail, FailClass, Worker},
};
use support::{
    Server, call, field, partition,
    running::{Held, reap},
    submit, wait_until,
};

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
