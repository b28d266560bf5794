//! Runs the shared cases (`tests/vectors/media`) through Rust; Python runs them as well.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{fs, path::Path};

use reelway_media::{
    errors::ErrorTable,
    ffmpeg::{Advance, ProgressParser},
    task::{ErrorBody, Progress, ReasonBody, StoreInput, TranscodeInput},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors/media");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn cases(name: &str) -> Vec<Value> {
    serde_json::from_str(&read(name)).unwrap()
}

#[test]
fn messages_find_their_codes() {
    for case in cases("messages.json") {
        let found = ErrorTable::built_in().code_for_ffmpeg(case["text"].as_str().unwrap());
        assert_eq!(found, case["code"].as_str(), "{case}");
    }
}

fn check<T: DeserializeOwned + Serialize>(case: &Value) {
    let read = serde_json::from_value::<T>(case["wire"].clone());
    assert_eq!(read.is_ok(), case["valid"].as_bool().unwrap(), "{case}");
    if let Ok(body) = read {
        let written = serde_json::to_value(&body).unwrap();
        let again: T = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), written, "{case}");
    }
}

#[test]
fn bodies_are_read_and_written() {
    for case in cases("bodies.json") {
        match case["body"].as_str().unwrap() {
            "TranscodeInput" => check::<TranscodeInput>(&case),
            "StoreInput" => check::<StoreInput>(&case),
            "Progress" => check::<Progress>(&case),
            "ErrorBody" => check::<ErrorBody>(&case),
            "ReasonBody" => check::<ReasonBody>(&case),
            other => panic!("unknown body {other}"),
        }
    }
}

#[test]
fn recorded_progress_of_every_version_is_understood() {
    for name in ["progress-5.1.txt", "progress-9.0.2.txt"] {
        let mut parser = ProgressParser::default();
        let text = read(name);
        let reports: Vec<Advance> = text.lines().filter_map(|line| parser.line(line)).collect();
        assert!(reports.len() > 3, "{name}");
        assert_eq!(reports.iter().filter(|report| report.ending).count(), 1);
        let frames: Vec<u64> = reports.iter().filter_map(|report| report.frame).collect();
        assert!(frames.is_sorted(), "{name}");
        let last = reports.last().unwrap();
        assert_eq!((last.ending, last.frame), (true, Some(200)), "{name}");
        let end_us = last.out_time_us.unwrap();
        assert!((7_900_000..=8_100_000).contains(&end_us), "{name} {end_us}");
    }
}
