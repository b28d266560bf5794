//! Runs the shared conformance cases (`tests/vectors/kernel`) through the Rust worker.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod items;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, fs, path::Path};

use items::{as_json, beat, commit, fail, matches, number, plain, release, text, texts};
use redis::Connection;
use reelway_kernel::{
    keys::Keys,
    options::KernelOptions,
    scripts::Verb,
    worker::{Ask, Beat, Commit, Fail, Release, Worker},
};
use serde_json::{Value, json};
use support::{Server, assembled, call_with, partition};

struct Run<'a> {
    connection: &'a mut Connection,
    keys: Keys,
    options: KernelOptions,
}

impl Run<'_> {
    fn worker(&mut self) -> Worker<'_> {
        Worker {
            connection: self.connection,
            options: &self.options,
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.keys.root)
    }

    fn step(&mut self, step: &Value) {
        let kind = step.as_object().unwrap();
        if kind.contains_key("script") {
            self.script(step);
        } else if let Some(words) = kind.get("redis") {
            let words = texts(words)
                .into_iter()
                .map(|word| match word.strip_prefix('@') {
                    Some(name) => self.key(name),
                    None => word,
                });
            let words: Vec<String> = words.collect();
            let mut command = redis::cmd(&words[0]);
            command.arg(&words[1..]).exec(self.connection).unwrap();
        } else if let Some(asked) = kind.get("take") {
            self.take(asked, step);
        } else if let Some(expected) = kind.get("expect") {
            self.expect(expected);
        } else {
            let answers = self.items(step);
            assert_eq!(json!(answers), step["reply"], "{step}");
        }
    }

    fn script(&mut self, step: &Value) {
        let (seconds, microseconds): (u64, u64) =
            redis::cmd("TIME").query(self.connection).unwrap();
        let now = (seconds * 1000 + microseconds / 1000).to_string();
        let keys: Vec<String> = texts(&step["keys"])
            .iter()
            .map(|key| self.key(key))
            .collect();
        let arguments: Vec<String> = step["arguments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|argument| match argument.as_str() {
                Some("@now") => now.clone(),
                Some(argument) => argument.to_owned(),
                None => argument.to_string(),
            })
            .collect();
        let reply = plain(
            call_with(
                self.connection,
                &self.options,
                &self.keys,
                &text(step, "script"),
                &keys,
                &arguments,
            )
            .unwrap(),
        );
        assert!(matches(&step["reply"], &reply), "{reply} to {step}");
    }

    fn take(&mut self, asked: &Value, step: &Value) {
        let keys = self.keys.clone();
        let inboxes: Vec<String> = texts(&asked["inboxes"])
            .iter()
            .map(|name| self.key(name))
            .collect();
        let ask = Ask {
            worker: text(asked, "worker"),
            nonce: text(asked, "nonce"),
            inboxes,
            want: number(&asked["want"]),
            holding: asked.get("holding").map_or(0, number),
        };
        let taken = self.worker().take(&keys, &ask).unwrap();
        if let Some(paused) = step.get("paused") {
            assert_eq!(json!(taken.paused), *paused, "{step}");
        }
        if let Some(clear) = step.get("clear") {
            assert_eq!(json!(taken.clear), *clear, "{step}");
        }
        let expected = step["grants"].as_array().unwrap();
        assert_eq!(
            expected.len(),
            taken.grants.len(),
            "{step} {:?}",
            taken.grants
        );
        for (expected, grant) in expected.iter().zip(&taken.grants) {
            let found = as_json(grant);
            for (name, value) in expected.as_object().unwrap() {
                let same = match (value.as_f64(), found[name].as_f64()) {
                    (Some(one), Some(other)) => (one - other).abs() < 1e-9,
                    _ => value == &found[name],
                };
                assert!(same, "{name}: {value} in {found}");
            }
        }
        if let Some(bells) = step.get("bells") {
            let mut expected: Vec<String> =
                texts(bells).iter().map(|name| self.key(name)).collect();
            let mut found: Vec<String> = taken.bells.into_iter().map(|(inbox, _)| inbox).collect();
            expected.sort();
            found.sort();
            assert_eq!(expected, found);
        }
    }

    fn items(&mut self, step: &Value) -> Vec<&'static str> {
        let keys = self.keys.clone();
        let list = |verb: &str| {
            step.get(verb)
                .map(|items| items.as_array().unwrap().clone())
        };
        if let Some(items) = list("beat") {
            let beats: Vec<Beat> = items.iter().map(beat).collect();
            let pulses = self.worker().beat(&keys, &beats).unwrap();
            return pulses
                .into_iter()
                .map(reelway_kernel::worker::Pulse::name)
                .collect();
        }
        let ends = if let Some(items) = list("commit") {
            let commits: Vec<Commit> = items.iter().map(commit).collect();
            self.worker().commit(&keys, &commits)
        } else if let Some(items) = list("fail") {
            let fails: Vec<Fail> = items.iter().map(fail).collect();
            self.worker().fail(&keys, &fails)
        } else if let Some(items) = list("release") {
            let releases: Vec<Release> = items.iter().map(release).collect();
            self.worker().release(&keys, &releases)
        } else {
            panic!("unknown step {step}")
        };
        ends.unwrap()
            .into_iter()
            .map(reelway_kernel::worker::End::name)
            .collect()
    }

    fn expect(&mut self, expected: &Value) {
        let none = serde_json::Map::new();
        let part = |name: &str| {
            expected
                .get(name)
                .and_then(Value::as_object)
                .unwrap_or(&none)
        };
        for (key, fields) in part("hash") {
            let found: BTreeMap<String, String> = redis::cmd("HGETALL")
                .arg(self.key(key))
                .query(self.connection)
                .unwrap();
            for (name, value) in fields.as_object().unwrap() {
                assert_eq!(&json!(found.get(name)), value, "{name} of {key}");
            }
        }
        for (key, members) in part("members") {
            let mut found: Vec<String> = redis::cmd("ZRANGE")
                .arg(self.key(key))
                .arg(0)
                .arg(-1)
                .query(self.connection)
                .unwrap();
            let mut members = texts(members);
            found.sort();
            members.sort();
            assert_eq!(found, members, "{key}");
        }
        for (key, length) in part("length") {
            let found: u64 = redis::cmd("XLEN")
                .arg(self.key(key))
                .query(self.connection)
                .unwrap();
            assert_eq!(&json!(found), length, "{key}");
        }
        for (job, types) in part("events") {
            let entries: Vec<String> = redis::cmd("LRANGE")
                .arg(self.key(&format!("log:{job}")))
                .arg(0)
                .arg(-1)
                .query(self.connection)
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
}

#[test]
fn every_case_holds() {
    let server = Server::start();
    let mut connection = server.connection();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors/kernel");
    let mut count = 0;
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let cases: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        for case in cases.as_array().unwrap() {
            println!("{}: {}", file.file_stem().unwrap().display(), case["name"]);
            redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
            let mut run = Run {
                connection: &mut connection,
                keys: partition(),
                options: KernelOptions {
                    window: 100,
                    ..KernelOptions::default()
                },
            };
            for step in case["steps"].as_array().unwrap() {
                run.step(step);
            }
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn the_compiled_scripts_are_those_of_the_checkout() {
    for verb in Verb::ALL {
        assert!(
            verb.text() == assembled(verb.name()),
            "{} is old: build again",
            verb.name()
        );
        assert_eq!(verb.digest().len(), 40);
    }
}

#[test]
fn a_script_that_redis_lost_is_sent_again() {
    let server = Server::start();
    let mut connection = server.connection();
    let options = KernelOptions::default();
    for _ in 0..2 {
        redis::cmd("SCRIPT")
            .arg("FLUSH")
            .exec(&mut connection)
            .unwrap();
        let mut worker = Worker {
            connection: &mut connection,
            options: &options,
        };
        let ask = Ask {
            worker: "w".to_owned(),
            nonce: "n".to_owned(),
            inboxes: vec![partition().inbox("a", "cpu", "normal")],
            want: 1,
            holding: 0,
        };
        let taken = worker.take(&partition(), &ask).unwrap();
        assert!(taken.grants.is_empty());
    }
}
