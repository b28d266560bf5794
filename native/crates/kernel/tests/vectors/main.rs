//! Runs the shared conformance cases (`tests/vectors/kernel`) through the Rust worker.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod expectations;
mod items;
#[path = "../support/mod.rs"]
mod support;

use std::{fs, path::Path};

use expectations::expect;
use items::{as_json, beat, commit, fail, matches, number, plain, release, spawn, text, texts};
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
        } else if let Some(asked) = kind.get("spawn") {
            let keys = self.keys.clone();
            let spawned = self.worker().spawn(&keys, &spawn(asked)).unwrap();
            let found = json!({"status": spawned.status, "outcomes": spawned.outcomes});
            assert_eq!(found, step["reply"], "{step}");
        } else if let Some(asked) = kind.get("children") {
            self.children(asked, step);
        } else if let Some(expected) = kind.get("expect") {
            expect(self.connection, &self.keys, expected);
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

    fn children(&mut self, asked: &Value, step: &Value) {
        let keys = self.keys.clone();
        let (first, count) = (number(&asked["first"]), number(&asked["count"]));
        let rows = self
            .worker()
            .children(&keys, &text(asked, "parent"), first, count)
            .unwrap();
        let found: Vec<Value> = rows
            .into_iter()
            .map(|row| json!([row.number, row.job, row.state, row.fence]))
            .collect();
        assert_eq!(json!(found), step["reply"], "{step}");
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
