//! The state of the keys that a case expects.

use std::collections::BTreeMap;

use redis::Connection;
use reelway_kernel::keys::Keys;
use serde_json::{Value, json};

use crate::items::texts;

pub(crate) fn expect(connection: &mut Connection, keys: &Keys, expected: &Value) {
    let key_of = |name: &str| format!("{}{name}", keys.root);
    let none = serde_json::Map::new();
    let part = |name: &str| {
        expected
            .get(name)
            .and_then(Value::as_object)
            .unwrap_or(&none)
    };
    for (key, fields) in part("hash") {
        let found: BTreeMap<String, String> = redis::cmd("HGETALL")
            .arg(key_of(key))
            .query(connection)
            .unwrap();
        for (name, value) in fields.as_object().unwrap() {
            assert_eq!(&json!(found.get(name)), value, "{name} of {key}");
        }
    }
    for (key, members) in part("members") {
        let mut found: Vec<String> = redis::cmd("ZRANGE")
            .arg(key_of(key))
            .arg(0)
            .arg(-1)
            .query(connection)
            .unwrap();
        let mut members = texts(members);
        found.sort();
        members.sort();
        assert_eq!(found, members, "{key}");
    }
    for (key, length) in part("length") {
        let found: u64 = redis::cmd("XLEN")
            .arg(key_of(key))
            .query(connection)
            .unwrap();
        assert_eq!(&json!(found), length, "{key}");
    }
    for (job, types) in part("events") {
        let entries: Vec<String> = redis::cmd("LRANGE")
            .arg(key_of(&format!("log:{job}")))
            .arg(0)
            .arg(-1)
            .query(connection)
            .unwrap();
        let entries: Vec<Value> = entries
            .iter()
            .map(|entry| serde_json::from_str(entry).unwrap())
            .collect();
        let found: Vec<&Value> = entries.iter().map(|entry| &entry["type"]).collect();
        assert_eq!(json!(found), *types, "{job}");
        for (position, entry) in entries.iter().enumerate() {
            assert_eq!(entry["rev"], json!(position + 1), "{job}");
        }
    }
}
