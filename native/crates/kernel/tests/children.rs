//! A job that spawns children, waits for them and reads how they ended.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::sync::{Arc, Mutex};

use reelway_kernel::handler::{Child, Failure, OnChildFailure, Outcome, Task};
use support::{
    Server, field, hash,
    running::{Running, done},
    submit, wait_until,
};

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
