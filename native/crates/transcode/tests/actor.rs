//! `reelway-transcode run` as a process, against a live Redis and with real media.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../../kernel/tests/support/mod.rs"]
mod kernel;
mod support;

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use kernel::{Server, call, field, partition, wait_until};
use redis::Connection;
use serde_json::{Value, json};
use support::{Bench, PROGRAM, audio_plan, maker, programs, video_plan};

/// One actor process. It is ended when the test ends.
struct Actor {
    process: Child,
}

impl Actor {
    fn start(server: &Server, root: &Path, change: impl FnOnce(&mut Value)) -> Self {
        Self::start_by(&[], server, root, change)
    }

    /// The words before the program start it.
    fn start_by(
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

    fn signal(&self, signal: &str) {
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
    fn end(mut self) -> (ExitStatus, Vec<Value>) {
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
    fn children(&self) -> Vec<u32> {
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

fn is_running(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}

/// Puts the file into storage and queues its transcode stage.
fn submit(connection: &mut Connection, bench: &Bench, job: &str, file: &Path, mut plan: Value) {
    let source = format!("work/{job}/1.fetch/source");
    let target = bench.path(&source);
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(file, &target).unwrap();
    let probe = support::probe(maker(), &target).unwrap();
    plan["duration_s"] = json!(probe.duration_s);
    let input = json!({
        "source": {"path": source, "name": "my clip.mp4", "size_bytes": probe.size_bytes, "sha256": "0"},
        "probe": probe,
        "plan": plan,
        "spans": {"ingest": [0.0, 2.0], "fetch": [2.0, 35.0], "transcode": [35.0, 95.0], "store": [95.0, 100.0]},
        "a_later_version": "adds fields",
    });
    let arguments = [
        job,
        "default",
        "media",
        "transcode",
        "cpu",
        "normal",
        "1",
        "86400000",
        "",
        "86400000",
        "{}",
        &input.to_string(),
        "[]",
    ]
    .map(str::to_owned);
    call(connection, "submit", &[partition().job(job)], &arguments).unwrap();
}

fn work_files(bench: &Bench, job: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for fence in fs::read_dir(bench.path(&format!("work/{job}"))).unwrap() {
        for file in fs::read_dir(fence.unwrap().path()).unwrap() {
            found.push(file.unwrap().path());
        }
    }
    found
}

#[test]
fn a_job_is_made_verified_and_handed_to_store() {
    let (server, bench) = (Server::start(), Bench::new());
    let mut connection = server.connection();
    let clip = bench.clip("clip.mp4", 4);
    let actor = Actor::start(&server, bench.directory.path(), |_| {});
    submit(
        &mut connection,
        &bench,
        "j00-a",
        &clip,
        audio_plan("mp3", 1),
    );
    wait_until("store is next", || {
        field(&mut connection, "j00-a", "stage") == "store"
    });

    let next: Value = serde_json::from_str(&field(&mut connection, "j00-a", "input")).unwrap();
    let output = &next["outputs"][0];
    let fence = field(&mut connection, "j00-a", "fence");
    assert_eq!(output["path"], format!("work/j00-a/{fence}/output.mp3"));
    assert_eq!(
        field(&mut connection, "j00-a", "refs"),
        json!([output["path"]]).to_string()
    );
    assert_eq!(
        (&output["name"], &output["type"]),
        (&json!("output.mp3"), &json!("audio/x"))
    );
    assert_eq!(output["codecs"], json!({"video": null, "audio": "mp3"}));
    assert_eq!(
        (&output["width"], &output["height"]),
        (&Value::Null, &Value::Null)
    );
    assert!((output["duration_s"].as_f64().unwrap() - 4.0).abs() < 0.05);
    assert_eq!(next["source_name"], "my clip.mp4");
    assert_eq!(next["spans"]["store"], json!([95.0, 100.0]));
    let file = fs::read(bench.path(output["path"].as_str().unwrap())).unwrap();
    assert_eq!(output["size_bytes"], file.len());
    let sum = Command::new("sha256sum")
        .arg(bench.path(output["path"].as_str().unwrap()))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&sum.stdout).starts_with(output["sha256"].as_str().unwrap()));

    actor.signal("-TERM");
    let (status, log) = actor.end();
    assert!(status.success());
    assert!(
        log.iter()
            .all(|line| line["role"] == "transcode" && line["timestamp"].is_string())
    );
    let ended = log
        .iter()
        .find(|line| line["event"] == "stage.ended")
        .unwrap();
    assert_eq!(
        (&ended["job"], &ended["end"]),
        (&json!("j00-a"), &json!("OK"))
    );
}

#[test]
fn a_damaged_source_fails_the_job_with_its_code() {
    let (server, bench) = (Server::start(), Bench::new());
    let mut connection = server.connection();
    let clip = bench.clip("clip.mp4", 4);
    let _actor = Actor::start(&server, bench.directory.path(), |_| {});
    submit(
        &mut connection,
        &bench,
        "j00-a",
        &clip,
        audio_plan("mp3", 7),
    );
    wait_until("it fails", || {
        field(&mut connection, "j00-a", "state") == "failed"
    });
    let error: Value = serde_json::from_str(&field(&mut connection, "j00-a", "error")).unwrap();
    assert_eq!(
        (&error["code"], &error["retryable"]),
        (&json!("UNREADABLE"), &json!(false))
    );
    assert!(error["suggestion"].is_string());
}

#[test]
fn a_killed_actor_leaves_no_ffmpeg_and_another_one_finishes() {
    let (server, bench) = (Server::start(), Bench::new());
    let mut connection = server.connection();
    let clip = bench.clip("clip.mp4", 20);
    let actor = Actor::start(&server, bench.directory.path(), |_| {});
    submit(
        &mut connection,
        &bench,
        "j00-a",
        &clip,
        video_plan("webm", (320, 180), 0, Some(1)),
    );
    wait_until("ffmpeg runs", || !actor.children().is_empty());
    let children = actor.children();
    drop(actor);
    let begun = Instant::now();
    wait_until("ffmpeg is gone", || {
        children.iter().all(|id| !is_running(*id))
    });
    assert!(begun.elapsed() < Duration::from_secs(2));

    let _other = Actor::start(&server, bench.directory.path(), |_| {});
    wait_until("the other one finishes", || {
        let (seconds, microseconds): (u64, u64) =
            redis::cmd("TIME").query(&mut connection).unwrap();
        let now = (seconds * 1000 + microseconds / 1000).to_string();
        let reason = r#"{"code":"WORKER_LOST","message":"m"}"#;
        let arguments = ["2000", &now, "3", "{}", reason].map(str::to_owned);
        call(&mut connection, "reap", &[], &arguments).unwrap();
        field(&mut connection, "j00-a", "stage") == "store"
    });
}

#[test]
fn a_cancelled_job_ends_its_ffmpeg_and_leaves_no_result() {
    let (server, bench) = (Server::start(), Bench::new());
    let mut connection = server.connection();
    let clip = bench.clip("clip.mp4", 60);
    let actor = Actor::start(&server, bench.directory.path(), |_| {});
    submit(
        &mut connection,
        &bench,
        "j00-a",
        &clip,
        video_plan("webm", (320, 180), 0, Some(1)),
    );
    wait_until("progress arrives", || {
        field(&mut connection, "j00-a", "progress").contains("speed")
    });
    let children = actor.children();
    let arguments = ["j00-a".to_owned(), "user".to_owned()];
    call(
        &mut connection,
        "cancel",
        &[partition().job("j00-a")],
        &arguments,
    )
    .unwrap();
    wait_until("it is cancelled", || {
        field(&mut connection, "j00-a", "state") == "cancelled"
    });
    assert!(children.iter().all(|id| !is_running(*id)));
    let results: Vec<_> = work_files(&bench, "j00-a")
        .into_iter()
        .filter(|file| file.ends_with("output.webm"))
        .collect();
    assert!(results.is_empty(), "{results:?}");
}

#[test]
fn an_ffmpeg_that_stands_still_is_ended() {
    let (server, bench) = (Server::start(), Bench::new());
    let mut connection = server.connection();
    let clip = bench.clip("clip.mp4", 1);
    let fake = bench.path("fake");
    fs::write(
        &fake,
        "#!/bin/sh\nwhile :; do echo frame=1; echo out_time_us=1000; echo speed=0.1x; echo progress=continue; \
         sleep 0.05; done\n",
    )
    .unwrap();
    fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let actor = Actor::start(&server, bench.directory.path(), |settings| {
        settings["ffmpeg"] = json!(fake);
        settings["actor"]["stall_timeout_s"] = json!(0.5);
    });
    submit(
        &mut connection,
        &bench,
        "j00-a",
        &clip,
        audio_plan("mp3", 1),
    );
    wait_until("it is delayed", || {
        field(&mut connection, "j00-a", "state") == "delayed"
    });
    assert!(field(&mut connection, "j00-a", "reason").contains("STALLED"));
    assert!(actor.children().is_empty());
}

/// ffmpeg reports nothing while it moves the index of a large file to the front; the file tells.
#[test]
fn a_file_that_changes_is_movement() {
    let (server, bench) = (Server::start(), Bench::new());
    let mut connection = server.connection();
    let clip = bench.clip("clip.mp4", 1);
    let fake = bench.path("fake");
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\ncase $last in file:*) n=0; while [ $n -lt 30 ]; do echo x >> \"${{last#file:}}\"; \
         sleep 0.1; n=$((n+1)); done;; esac\nexec {} \"$@\"\n",
        maker().display()
    );
    fs::write(&fake, script).unwrap();
    fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let _actor = Actor::start(&server, bench.directory.path(), |settings| {
        settings["ffmpeg"] = json!(fake);
        settings["actor"]["stall_timeout_s"] = json!(1.0);
    });
    submit(
        &mut connection,
        &bench,
        "j00-a",
        &clip,
        audio_plan("mp3", 1),
    );
    wait_until("store is next", || {
        assert_ne!(field(&mut connection, "j00-a", "state"), "delayed");
        field(&mut connection, "j00-a", "stage") == "store"
    });
}

#[test]
fn a_full_disk_delays_the_job_and_leaves_no_rest() {
    let (server, bench) = (Server::start(), Bench::new());
    let mut connection = server.connection();
    let clip = bench.clip("clip.mp4", 8);
    for (number, program) in programs().iter().enumerate() {
        let job = format!("j00-{number}");
        // No file of the actor may grow beyond 100 blocks of 512 bytes, and none of its ffmpeg.
        let actor = Actor::start_by(
            &["sh", "-c", "ulimit -f 100; exec \"$@\"", "sh"],
            &server,
            bench.directory.path(),
            |settings| {
                settings["ffmpeg"] = json!(program);
            },
        );
        submit(&mut connection, &bench, &job, &clip, audio_plan("wav", 1));
        wait_until("it is delayed", || {
            field(&mut connection, &job, "state") == "delayed"
        });
        assert!(field(&mut connection, &job, "reason").contains("DISK_FULL"));
        let rests = work_files(&bench, &job);
        assert!(
            rests.iter().all(|file| file.ends_with("source")),
            "{rests:?}"
        );
        drop(actor);
    }
}

#[test]
fn a_deploy_gives_back_what_does_not_fit_and_spends_nothing() {
    let (server, bench) = (Server::start(), Bench::new());
    let mut connection = server.connection();
    let clip = bench.clip("clip.mp4", 60);
    let actor = Actor::start(&server, bench.directory.path(), |settings| {
        settings["actor"]["drain_grace_s"] = json!(0.3);
    });
    submit(
        &mut connection,
        &bench,
        "j00-a",
        &clip,
        video_plan("webm", (320, 180), 0, Some(1)),
    );
    wait_until("ffmpeg runs", || !actor.children().is_empty());
    let children = actor.children();
    actor.signal("-TERM");
    let (status, _) = actor.end();
    assert!(status.success());
    assert!(children.iter().all(|id| !is_running(*id)));
    assert_eq!(field(&mut connection, "j00-a", "state"), "queued");
    assert_eq!(
        field(&mut connection, "j00-a", "inbox"),
        "in:transcode:cpu:again"
    );
    assert_eq!(field(&mut connection, "j00-a", "attempt"), "0");
}

#[test]
fn settings_that_cannot_be_used_are_one_clear_line() {
    let run = |settings: Option<&str>| {
        let mut command = Command::new(PROGRAM);
        command.arg("run").env_remove("REELWAY_NATIVE_SETTINGS");
        if let Some(settings) = settings {
            command.env("REELWAY_NATIVE_SETTINGS", settings);
        }
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for settings in [None, Some("{}"), Some("not json")] {
        let (status, words) = run(settings);
        assert_eq!(status, Some(2));
        assert_eq!(words.lines().count(), 1, "{words}");
    }
}

#[test]
fn the_version_names_the_scripts() {
    let output = Command::new(PROGRAM)
        .args(["version", "--json"])
        .output()
        .unwrap();
    let version: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["scripts"]["take"].as_str().unwrap().len(), 40);
}
