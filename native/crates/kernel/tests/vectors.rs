//! Runs the shared conformance cases (`tests/vectors/kernel`) through the Rust worker.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::{collections::BTreeMap, fs, path::Path};

use redis::{Connection, Value as Reply, from_redis_value};
use reelway_kernel::{
    keys::Keys,
    options::KernelOptions,
    scripts::Verb,
    worker::{Beat, Commit, Fail, FailClass, Grant, Outcome, Release, Worker},
};
use serde_json::{Value, json};
use support::{Server, assembled, call, partition};

struct Run<'a> {
    connection: &'a mut Connection,
    keys: Keys,
    options: KernelOptions,
}

fn text(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
        .to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap();
    list.iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).ok().unwrap()
}

/// A raw reply as JSON.
fn plain(reply: Reply) -> Value {
    match reply {
        Reply::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Reply::Int(number) => json!(number),
        Reply::Nil => Value::Null,
        other => json!(from_redis_value::<String>(other).unwrap()),
    }
}

fn matches(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len()
                && expected
                    .iter()
                    .zip(actual)
                    .all(|(expected, actual)| matches(expected, actual))
        }
        _ => expected == actual,
    }
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
        let reply = plain(call(self.connection, &text(step, "script"), &keys, &arguments).unwrap());
        assert!(matches(&step["reply"], &reply), "{reply} to {step}");
    }

    fn take(&mut self, asked: &Value, step: &Value) {
        let keys = self.keys.clone();
        let inboxes: Vec<String> = texts(&asked["inboxes"])
            .iter()
            .map(|name| self.key(name))
            .collect();
        let (worker, nonce) = (text(asked, "worker"), text(asked, "nonce"));
        let want = number(&asked["want"]);
        let taken = self
            .worker()
            .take(&keys, &worker, &inboxes, want, &nonce)
            .unwrap();
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

fn as_json(grant: &Grant) -> Value {
    json!({
        "job": grant.job, "fence": grant.fence, "stage": grant.stage, "tenant": grant.tenant,
        "kind": grant.kind, "attempt": grant.attempt, "crashes": grant.crashes,
        "deadline_ms": grant.deadline_ms, "lane": grant.lane, "priority": grant.priority,
        "percent": grant.percent, "spec": String::from_utf8_lossy(&grant.spec),
        "input": String::from_utf8_lossy(&grant.input), "refs": grant.refs,
    })
}

fn beat(item: &Value) -> Beat {
    let percent = item.get("percent").map(|percent| match percent {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_f64().unwrap(),
    });
    Beat {
        job: text(item, "job"),
        fence: text(item, "fence"),
        percent,
        progress: item["progress"].as_str().unwrap_or("{}").into(),
    }
}

fn commit(item: &Value) -> Commit {
    let result = match text(item, "kind").as_str() {
        "next" => Outcome::Next {
            stage: text(item, "stage"),
            lane: text(item, "lane"),
            input: text(item, "body").into(),
            refs: texts(&item["refs"]),
        },
        _ => Outcome::Done {
            result: text(item, "body").into(),
            event: text(item, "data").into(),
        },
    };
    Commit {
        job: text(item, "job"),
        fence: text(item, "fence"),
        result,
        percent: item["percent"]
            .as_str()
            .map(|percent| percent.parse().unwrap()),
    }
}

fn fail(item: &Value) -> Fail {
    let classes = [
        FailClass::Transient,
        FailClass::Stalled,
        FailClass::Throttled,
        FailClass::Permanent,
    ];
    let class = text(item, "class");
    Fail {
        job: text(item, "job"),
        fence: text(item, "fence"),
        class: classes
            .into_iter()
            .find(|known| known.name() == class)
            .unwrap(),
        delay_ms: number(&item["delay_ms"]),
        budget: number(&item["budget"]),
        error: text(item, "error").into(),
        reason: text(item, "reason").into(),
    }
}

fn release(item: &Value) -> Release {
    Release {
        job: text(item, "job"),
        fence: text(item, "fence"),
        reason: text(item, "reason").into(),
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
                options: KernelOptions::default(),
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
        let inboxes = [partition().inbox("a", "cpu", "normal")];
        let taken = worker.take(&partition(), "w", &inboxes, 1, "n").unwrap();
        assert!(taken.grants.is_empty());
    }
}
