//! `reelway-transcode run` as a process, against a live Redis and with real media: its work.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../../kernel/tests/support/mod.rs"]
mod kernel;
#[path = "support/process.rs"]
mod process;
mod support;

use std::{fs, process::Command};

use kernel::{Server, field, wait_until};
use process::{Actor, submit};
use serde_json::{Value, json};
use support::{Bench, PROGRAM, audio_plan};

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

/// ffmpeg reports nothing while it moves the index of a large file to the front; the file tells.
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
