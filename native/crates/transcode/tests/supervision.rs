//! How an ffmpeg that misbehaves is treated: scripts in its place, and the real one for what only the
//! system can show.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use reelway_media::{errors::Failure, ffmpeg::Interruption};
use support::{Bench, PROGRAM, audio_plan, code_of, maker, programs};

const DEADLINE: Duration = Duration::from_secs(10);

fn script(bench: &Bench, name: &str, body: &str) -> PathBuf {
    let file = bench.path(name);
    fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "{what}");
        thread::yield_now();
    }
}

fn is_running(id: i32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}

fn id_in(file: &Path) -> Option<i32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// What a script makes of the first call, with a real probe before it.
fn outcome_of(body: &str) -> Result<support::Converted, Failure> {
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 1);
    let fake = script(&bench, "fake", body);
    let found = support::probe(maker(), &clip)?;
    bench.convert_probed(
        &fake,
        &clip,
        found,
        audio_plan("mp3", 1),
        &Interruption::never(),
    )
}

#[test]
fn exit_codes_and_messages_become_codes() {
    for (body, code) in [
        ("exit 1", "TRANSCODE_FAILED"),
        ("kill -SEGV $$", "TRANSCODE_FAILED"),
        ("kill -KILL $$", "OUT_OF_MEMORY"),
        ("kill -XFSZ $$", "FILE_TOO_LARGE"),
        (
            "echo '[out#0 @ 0x1] [error] Error writing: No space left on device' >&2; exit 0",
            "DISK_FULL",
        ),
        (
            "i=0; while [ $i -lt 60 ]; do echo '[error] corrupt decoded frame' >&2; i=$((i+1)); done; \
             echo '[error] Error writing trailer of x: No space left on device' >&2; exit 1",
            "DISK_FULL",
        ),
        (
            "echo '[error] Error writing trailer of x: File too large' >&2; exit 1",
            "FILE_TOO_LARGE",
        ),
        (
            "echo '[fatal] Cannot allocate memory' >&2; exit 1",
            "OUT_OF_MEMORY",
        ),
        (
            "echo '[mov @ 0x1] [error] stream 0, offset 0x1: partial file' >&2; exit 1",
            "SOURCE_TRUNCATED",
        ),
        (
            "echo '[libx264 @ 0x1] [error] width not divisible by 2 (321x181)' >&2; exit 1",
            "ENCODER_REJECTS",
        ),
    ] {
        assert_eq!(code_of(outcome_of(body)), code, "{body}");
    }
}

#[test]
fn a_reader_that_is_killed_says_nothing_about_the_file() {
    let body = format!(
        "case \"$*\" in *framecrc*) kill -KILL $$ ;; esac; exec {} \"$@\"",
        maker().display()
    );
    assert_eq!(code_of(outcome_of(&body)), "OUT_OF_MEMORY");
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 1);
    let fake = script(&bench, "fake", &body);
    assert_eq!(code_of(support::probe(&fake, &clip)), "OUT_OF_MEMORY");
}

#[test]
fn an_exit_code_of_zero_without_a_result_is_not_believed() {
    // `on PATH` for the verify run is the same script, so it says nothing about any file either.
    assert_eq!(code_of(outcome_of("exit 0")), "OUTPUT_INVALID");
}

#[test]
fn a_flood_of_messages_blocks_nobody() {
    let body = "i=0; while [ $i -lt 40000 ]; do echo '[warning] aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
                aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' >&2; i=$((i+1)); done; exit 7";
    assert_eq!(code_of(outcome_of(body)), "TRANSCODE_FAILED");
}

#[test]
fn interruption_ends_the_whole_group_even_if_it_does_not_want_to() {
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 1);
    let (own, child) = (bench.path("own"), bench.path("child"));
    let fake = script(
        &bench,
        "fake",
        &format!(
            "trap '' TERM\n(trap '' TERM; while :; do read x < /dev/zero; done) & echo $! > {0}.new; mv {0}.new {0}\n\
             echo $$ > {1}.new; mv {1}.new {1}\nwait; while :; do wait; done",
            child.display(),
            own.display()
        ),
    );
    let found = support::probe(maker(), &clip).unwrap();
    let (interrupter, interruption) = Interruption::pair();
    thread::scope(|scope| {
        let work = scope.spawn(|| {
            bench.convert_probed(&fake, &clip, found, audio_plan("mp3", 1), &interruption)
        });
        wait_until("the script runs", || own.is_file() && child.is_file());
        let (own, child) = (id_in(&own).unwrap(), id_in(&child).unwrap());
        assert!(is_running(own) && is_running(child));
        let started = Instant::now();
        drop(interrupter);
        assert_eq!(work.join().unwrap().unwrap_err(), Failure::Interrupted);
        assert!(started.elapsed() < Duration::from_secs(3));
        wait_until("both are gone", || !is_running(own) && !is_running(child));
    });
}

#[test]
fn a_real_ffmpeg_ends_at_once_when_interrupted() {
    let bench = Bench::new();
    let clip = bench.clip("clip.mp4", 60);
    for program in programs() {
        let found = support::probe(program, &clip).unwrap();
        let (interrupter, interruption) = Interruption::pair();
        thread::scope(|scope| {
            let plan = support::video_plan("webm", (320, 180), 0, Some(1));
            let work =
                scope.spawn(|| bench.convert_probed(program, &clip, found, plan, &interruption));
            wait_until("it moves", || {
                bench
                    .observed
                    .lock()
                    .unwrap()
                    .iter()
                    .any(|seen| seen.bytes > Some(0))
            });
            drop(interrupter);
            assert_eq!(work.join().unwrap().unwrap_err(), Failure::Interrupted);
        });
        bench.observed.lock().unwrap().clear();
    }
}

#[test]
fn nothing_survives_the_process_that_started_it() {
    let bench = Bench::new();
    let fake = script(&bench, "fake", "exec sleep 3600");
    let clip = bench.clip("clip.mp4", 1);
    let mut probe = Command::new(PROGRAM)
        .arg("probe")
        .arg(&clip)
        .env("REELWAY_FFMPEG", &fake)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let children = PathBuf::from(format!("/proc/{0}/task/{0}/children", probe.id()));
    let name = |id: i32| fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    wait_until("it sleeps", || {
        id_in(&children).is_some_and(|id| name(id).trim() == "sleep")
    });
    let id = id_in(&children).unwrap();
    probe.kill().unwrap();
    probe.wait().unwrap();
    wait_until("the sleeper is gone", || !is_running(id));
}

#[test]
fn the_jail_limits_what_is_written() {
    let bench = Bench::new();
    let file = bench.path("large");
    let jailed = |bytes: &str| {
        Command::new(PROGRAM)
            .args([
                "jail",
                &format!("--parent={}", std::process::id()),
                "--file-bytes",
                bytes,
                "--",
                "sh",
                "-c",
            ])
            .arg(format!(
                "dd if=/dev/zero of={} bs=1000 count=100 2>/dev/null",
                file.display()
            ))
            .status()
            .unwrap()
    };
    assert!(jailed("100000").success());
    assert!(!jailed("50000").success());
    assert_eq!(fs::metadata(&file).unwrap().len(), 50_000);
}

#[test]
fn the_jail_does_not_start_for_a_parent_that_is_gone() {
    let status = Command::new(PROGRAM)
        .args(["jail", "--parent=1", "--file-bytes=0", "--", "true"])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(127));
}
