//! An actor says that it is there.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::collections::HashMap;

use redis::Connection;
use serde_json::Value;
use support::{Server, field, running::Held, submit, wait_until};

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
