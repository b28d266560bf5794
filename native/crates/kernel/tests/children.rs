//! A job that spawns children, waits for them and reads how they ended; with the rights of a worker too.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use crossbeam_channel::unbounded;
use reelway_kernel::{
    handler::{Child, Failure, OnChildFailure, Outcome, Task},
    installation::{self, Unfit},
    keys::Partitions,
    options::RedisOptions,
};
use support::{
    Server, field, hash,
    running::{Running, done},
    submit, wait_until,
};

/// What the parent read of each child.
type Seen = Arc<Mutex<Vec<(u32, String, String)>>>;

fn expected() -> Vec<(u32, String, String)> {
    (1..=3)
        .map(|number| (number, format!("j00-a.{number}"), "completed".to_owned()))
        .collect()
}

#[test]
fn a_job_has_children_and_reads_how_they_ended() {
    let server = Server::start();
    let mut connection = server.connection();
    let seen = Seen::default();
    let running = Running::start(&server, |_| {}, {
        let seen = Arc::clone(&seen);
        move |task| family(task, &seen)
    });
    submit(&mut connection, "j00-a", "{}");
    wait_until("the parent completes", || {
        field(&mut connection, "j00-a", "state") == "completed"
    });
    running.stop();
    assert_eq!(*seen.lock().unwrap(), expected());
    let parent = hash(&mut connection, "j00-a");
    assert_eq!(parent["takes"], "2");
    assert_eq!(parent["children"], "3");
}

#[test]
fn the_user_of_workers_may_do_all_that_an_actor_does() {
    let server = Server::start();
    let mut connection = server.connection();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../compose/redis_rights");
    let rights = fs::read_to_string(file).unwrap();
    let rules = rights
        .lines()
        .find_map(|line| line.strip_prefix("worker "))
        .unwrap();
    redis::cmd("ACL")
        .arg("SETUSER")
        .arg("worker")
        .arg("on")
        .arg(">secret")
        .arg(rules.split_whitespace().collect::<Vec<_>>())
        .exec(&mut connection)
        .unwrap();
    let redis = RedisOptions {
        username: Some("worker".to_owned()),
        password: Some("secret".to_owned()),
        ..server.options()
    };
    let (_signals, heard) = unbounded();
    installation::check(&redis, &Partitions::new(1), &heard).unwrap();
    let wrong = RedisOptions {
        password: Some("wrong".to_owned()),
        ..redis.clone()
    };
    let refused = installation::check(&wrong, &Partitions::new(1), &heard);
    assert!(matches!(refused, Err(Unfit::Refused(_))));

    let seen = Seen::default();
    let running = Running::start_with(redis, 1, |_| {}, {
        let seen = Arc::clone(&seen);
        move |task| family(task, &seen)
    });
    submit(&mut connection, "j00-a", "{}");
    wait_until("the parent completes", || {
        field(&mut connection, "j00-a", "state") == "completed"
    });
    wait_until("it is listed", || {
        redis::cmd("EXISTS")
            .arg("rw:{sys}:workers")
            .query(&mut connection)
            .unwrap()
    });
    running.stop();
    assert_eq!(*seen.lock().unwrap(), expected());
    let refusals: Vec<redis::Value> = redis::cmd("ACL").arg("LOG").query(&mut connection).unwrap();
    // The wrong password, and nothing else.
    assert_eq!(refusals.len(), 1, "{refusals:?}");
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
