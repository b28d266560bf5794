//! `reelway-transcode run` as a process: kills, cancels, stalls, full disks and deploys.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../../kernel/tests/support/mod.rs"]
mod kernel;
#[path = "support/process.rs"]
mod process;
mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use kernel::{Server, call, count, field, partition, wait_until};
use process::{Actor, is_running, prepare, promote, submit, submit_prepared, work_files};
use serde_json::json;
use support::{Bench, audio_plan, disk::Disk, maker, programs, video_plan};

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
    fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).unwrap();
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
    fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).unwrap();
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

/// What a job that waits for room shows, and that nothing was charged for it.
fn assert_waits_for_room(connection: &mut redis::Connection, bench: &Bench, job: &str) {
    wait_until("it waits", || field(connection, job, "state") == "delayed");
    let reason: serde_json::Value =
        serde_json::from_str(&field(connection, job, "reason")).unwrap();
    assert_eq!(reason["code"], "DISK_FULL");
    assert!(!reason["until"].is_null());
    assert_eq!(count(connection, job, "attempt"), 0);
    assert_eq!(count(connection, job, "crashes"), 0);
    let fences: Vec<_> = fs::read_dir(bench.path(&format!("work/{job}")))
        .unwrap()
        .map(|fence| fence.unwrap().file_name())
        .collect();
    assert_eq!(fences, ["1.fetch"]);
}

#[test]
fn a_full_disk_delays_the_job_and_leaves_no_rest() {
    let Some(disk) = Disk::mount(6 << 20) else {
        return;
    };
    let (server, bench) = (Server::start(), Bench::at(&disk.path));
    let mut connection = server.connection();
    let media = Bench::new();
    let clip = media.clip("clip.mp4", 8);
    let plans = [
        ("wav", audio_plan("wav", 1)),
        ("mp3", audio_plan("mp3", 1)),
        ("mp4", video_plan("mp4", (320, 180), 0, Some(1))),
        ("webm", video_plan("webm", (320, 180), 0, Some(1))),
    ];
    for (number, program) in programs().iter().enumerate() {
        let actor = Actor::start(&server, bench.directory.path(), |settings| {
            settings["ffmpeg"] = json!(program);
        });
        for (name, plan) in &plans {
            // With room for the first bytes of the output only: the disk gets full while ffmpeg writes.
            let job = format!("j00-{number}{name}");
            prepare(&bench, &job, &clip);
            disk.fill_but(16 << 10);
            submit_prepared(&mut connection, &bench, &job, plan.clone());
            assert_waits_for_room(&mut connection, &bench, &job);
            disk.empty();
            promote(&mut connection, &job);
            wait_until("it is done", || {
                field(&mut connection, &job, "stage") == "store"
            });
            assert_eq!(count(&mut connection, &job, "attempt"), 0);
            fs::remove_dir_all(bench.path(&format!("work/{job}"))).unwrap();
        }
        drop(actor);
    }
}

#[test]
fn work_begins_only_above_the_floor_of_free_space() {
    let Some(disk) = Disk::mount(8 << 20) else {
        return;
    };
    let (server, bench) = (Server::start(), Bench::at(&disk.path));
    let mut connection = server.connection();
    let media = Bench::new();
    let clip = media.clip("clip.mp4", 1);
    // ffmpeg would have room enough: it must not even be started.
    let called = media.path("called");
    let spy = media.path("spy");
    let script = format!(
        "#!/bin/sh\ntouch {}\nexec {} \"$@\"\n",
        called.display(),
        maker().display()
    );
    fs::write(&spy, script).unwrap();
    fs::set_permissions(&spy, PermissionsExt::from_mode(0o755)).unwrap();
    let _actor = Actor::start(&server, bench.directory.path(), |settings| {
        settings["ffmpeg"] = json!(spy);
        settings["storage"]["min_free_bytes"] = json!(4 << 20);
    });
    prepare(&bench, "j00-a", &clip);
    disk.fill_but(3 << 20);
    submit_prepared(&mut connection, &bench, "j00-a", audio_plan("mp3", 1));
    assert_waits_for_room(&mut connection, &bench, "j00-a");
    assert!(!called.exists());
    disk.empty();
    promote(&mut connection, "j00-a");
    wait_until("it is done", || {
        field(&mut connection, "j00-a", "stage") == "store"
    });
}

#[test]
fn a_file_beyond_its_limit_is_an_error_and_no_full_disk() {
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
        assert!(field(&mut connection, &job, "reason").contains("FILE_TOO_LARGE"));
        assert_eq!(count(&mut connection, &job, "attempt"), 1);
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
    assert_eq!(count(&mut connection, "j00-a", "attempt"), 0);
    assert_eq!(count(&mut connection, "j00-a", "crashes"), 0);
}

#[test]
fn a_second_signal_gives_everything_back_at_once() {
    let (server, bench) = (Server::start(), Bench::new());
    let mut connection = server.connection();
    let clip = bench.clip("clip.mp4", 60);
    let actor = Actor::start(&server, bench.directory.path(), |settings| {
        settings["actor"]["drain_grace_s"] = json!(600);
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
    wait_until("it says that it drains", || {
        let rows: Vec<String> = redis::cmd("HVALS")
            .arg("rw:{sys}:workers")
            .query(&mut connection)
            .unwrap();
        rows.iter().any(|row| row.contains(r#""draining":true"#))
    });
    // The first signal has been heard, and the work goes on.
    assert_eq!(field(&mut connection, "j00-a", "state"), "running");
    assert_eq!(actor.children(), children);
    let begun = Instant::now();
    actor.signal("-TERM");
    let (status, _) = actor.end();
    assert!(status.success());
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(children.iter().all(|id| !is_running(*id)));
    assert_eq!(field(&mut connection, "j00-a", "state"), "queued");
    assert_eq!(count(&mut connection, "j00-a", "attempt"), 0);
    assert_eq!(count(&mut connection, "j00-a", "crashes"), 0);
}
