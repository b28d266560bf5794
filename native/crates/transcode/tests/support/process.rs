//! `reelway-transcode run` as a process, and jobs for it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use redis::Connection;
use serde_json::{Value, json};

use crate::{
    kernel::{Server, call, partition, submit_to},
    support::{self, Bench, PROGRAM, maker},
};

/// One actor process. It is ended when the test ends.
pub(crate) struct Actor {
    process: Child,
}

impl Actor {
    pub(crate) fn start(server: &Server, root: &Path, change: impl FnOnce(&mut Value)) -> Self {
        Self::start_by(&[], server, root, change)
    }

    /// The words before the program start it.
    pub(crate) fn start_by(
        words: &[&str],
        server: &Server,
        root: &Path,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let mut settings = json!({
            "redis": {"url": server.options().url, "username": null, "password": null},
            "partitions": 1,
            "kernel": {"lease_s": 2.0, "beat_s": 0.5, "crash_budget": 3},
            "storage": {"root": root},
            "ffmpeg": maker(),
            "scratch_dir": root.join("scratch"),
            "actor": {"concurrency": 2, "stall_timeout_s": 60.0, "kill_grace_s": 5.0, "drain_grace_s": 25.0},
            "budget": 2,
            "log_level": "debug",
        });
        change(&mut settings);
        let words: Vec<&str> = words.iter().copied().chain([PROGRAM, "run"]).collect();
        let process = Command::new(words[0])
            .args(&words[1..])
            .env("REELWAY_NATIVE_SETTINGS", settings.to_string())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end; gives the status and the lines of the log.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<Value>) {
        let mut text = String::new();
        self.process
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        let status = self.process.wait().unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{text}")));
        (status, lines.collect())
    }

    /// Ids of the ffmpeg processes that it runs.
    pub(crate) fn children(&self) -> Vec<u32> {
        let tasks = format!("/proc/{}/task", self.process.id());
        let Ok(threads) = fs::read_dir(tasks) else {
            return Vec::new();
        };
        threads
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
            .flat_map(|ids| {
                ids.split_whitespace()
                    .map(|id| id.parse().unwrap())
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn is_running(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}

/// Puts the file into storage and queues its transcode stage.
pub(crate) fn submit(
    connection: &mut Connection,
    bench: &Bench,
    job: &str,
    file: &Path,
    plan: Value,
) {
    prepare(bench, job, file);
    submit_prepared(connection, bench, job, plan);
}

fn source_of(job: &str) -> String {
    format!("work/{job}/1.fetch/source")
}

/// Puts the file into storage, as fetch does.
pub(crate) fn prepare(bench: &Bench, job: &str, file: &Path) {
    let target = bench.path(&source_of(job));
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(file, &target).unwrap();
}

/// Ends the pause of a delayed job, as the reaper does when it is over.
pub(crate) fn promote(connection: &mut Connection, job: &str) {
    let [_, due, ..] = partition().declared();
    redis::cmd("ZADD")
        .arg(due)
        .arg(0)
        .arg(job)
        .exec(connection)
        .unwrap();
    call(connection, "promote", &[], &[]).unwrap();
}

/// Queues the transcode stage of a file that lies in storage.
pub(crate) fn submit_prepared(
    connection: &mut Connection,
    bench: &Bench,
    job: &str,
    mut plan: Value,
) {
    let source = source_of(job);
    let target = bench.path(&source);
    let probe = support::probe(maker(), &target).unwrap();
    plan["duration_s"] = json!(probe.duration_s);
    let input = json!({
        "source": {"path": source, "name": "my clip.mp4", "size_bytes": probe.size_bytes, "sha256": "0"},
        "probe": probe,
        "plan": plan,
        "spans": {"ingest": [0.0, 2.0], "fetch": [2.0, 35.0], "transcode": [35.0, 95.0], "store": [95.0, 100.0]},
        "a_later_version": "adds fields",
    });
    submit_to(connection, job, "transcode", &input.to_string());
}

pub(crate) fn work_files(bench: &Bench, job: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for fence in fs::read_dir(bench.path(&format!("work/{job}"))).unwrap() {
        for file in fs::read_dir(fence.unwrap().path()).unwrap() {
            found.push(file.unwrap().path());
        }
    }
    found
}
