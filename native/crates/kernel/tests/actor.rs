//! The actor loop against a live Redis: taking, working, failing.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::unbounded;
use reelway_kernel::{
    handler::{Failure, Outcome},
    options::ActorOptions,
};
use support::{
    Server, count, field, hash, partition,
    running::{Running, cancel, done, reap, until_interrupted},
    submit, wait_until,
};

#[test]
fn an_idle_actor_starts_a_new_job_at_once() {
    let server = Server::start();
    let mut connection = server.connection();
    let (tell, told) = unbounded();
    let running = Running::start(
        &server,
        |_| {},
        move |_| {
            tell.send(Instant::now()).unwrap();
            Ok(done())
        },
    );
    for number in 0..5 {
        let job = format!("j00-{number}");
        let before = Instant::now();
        submit(&mut connection, &job, "{}");
        let at = told.recv_timeout(Duration::from_secs(2)).unwrap();
        assert!(
            at - before < Duration::from_millis(250),
            "{:?}",
            at - before
        );
        wait_until("it completes", || {
            field(&mut connection, &job, "state") == "completed"
        });
    }
    running.stop();
}

#[test]
fn a_result_leads_to_the_next_stage_and_progress_travels() {
    let server = Server::start();
    let mut connection = server.connection();
    let (go, gone) = unbounded::<()>();
    let running = Running::start(
        &server,
        |_| {},
        move |task| {
            assert_eq!(task.grant.input, br#"{"n":1}"#);
            task.report(Some(40.0), br#"{"stage":"a"}"#.to_vec(), true);
            task.report(Some(20.0), br#"{"stage":"a","eta_s":1}"#.to_vec(), true);
            gone.recv().unwrap();
            Ok(Outcome::Next {
                stage: "b".to_owned(),
                lane: "cpu".to_owned(),
                rescue: false,
                input: br#"{"n":2}"#.to_vec(),
                refs: vec!["work/x".to_owned()],
            })
        },
    );
    submit(&mut connection, "j00-a", r#"{"n":1}"#);
    wait_until("progress arrives", || {
        field(&mut connection, "j00-a", "progress").contains("eta_s")
    });
    assert_eq!(field(&mut connection, "j00-a", "percent"), "40");
    go.send(()).unwrap();
    wait_until("the next stage waits", || {
        field(&mut connection, "j00-a", "stage") == "b"
    });
    let job = hash(&mut connection, "j00-a");
    assert_eq!(
        (job["state"].as_str(), job["refs"].as_str()),
        ("queued", r#"["work/x"]"#)
    );
    assert_eq!(job["input"], r#"{"n":2}"#);
    running.stop();
}

#[test]
fn a_working_job_keeps_its_lease() {
    let server = Server::start();
    let mut connection = server.connection();
    let (go, gone) = unbounded::<()>();
    let running = Running::start(
        &server,
        |_| {},
        move |_| {
            gone.recv().unwrap();
            Ok(done())
        },
    );
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    let begun = Instant::now();
    // Three leases long.
    wait_until("time passes", || {
        reap(&mut connection);
        begun.elapsed() > Duration::from_secs(3)
    });
    go.send(()).unwrap();
    wait_until("it completes", || {
        field(&mut connection, "j00-a", "state") == "completed"
    });
    assert_eq!(count(&mut connection, "j00-a", "crashes"), 0);
    assert_eq!(field(&mut connection, "j00-a", "takes"), "1");
    running.stop();
}

#[test]
fn a_cancelled_job_is_interrupted() {
    let server = Server::start();
    let mut connection = server.connection();
    let running = Running::start(&server, |_| {}, until_interrupted);
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    cancel(&mut connection, "j00-a");
    wait_until("it is cancelled", || {
        field(&mut connection, "j00-a", "state") == "cancelled"
    });
    running.stop();
}

#[test]
fn a_job_that_somebody_else_took_is_left_alone() {
    let server = Server::start();
    let mut connection = server.connection();
    let (tell, told) = unbounded();
    let running = Running::start(
        &server,
        |_| {},
        move |task| {
            let ended = until_interrupted(task);
            tell.send(()).unwrap();
            ended
        },
    );
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    let key = partition().job("j00-a");
    redis::cmd("HSET")
        .arg(key)
        .arg("fence")
        .arg("9.other")
        .exec(&mut connection)
        .unwrap();
    told.recv_timeout(Duration::from_secs(5)).unwrap();
    running.stop();
    let job = hash(&mut connection, "j00-a");
    assert_eq!(
        (job["state"].as_str(), job["fence"].as_str()),
        ("running", "9.other")
    );
    assert_eq!(count(&mut connection, "j00-a", "attempt"), 0);
}

#[test]
fn a_job_that_stands_still_fails_as_stalled() {
    let server = Server::start();
    let mut connection = server.connection();
    let running = Running::start(
        &server,
        |options| options.stall_timeout_s = 0.4,
        |task| {
            for _ in 0..5 {
                thread::sleep(Duration::from_millis(150));
                task.moved();
            }
            // Reports without movement do not count.
            while task.interruption().recv_timeout(Duration::from_millis(20))
                == Err(crossbeam_channel::RecvTimeoutError::Timeout)
            {
                task.report(Some(10.0), b"{}".to_vec(), false);
            }
            Err(Failure::Interrupted)
        },
    );
    submit(&mut connection, "j00-a", "{}");
    wait_until("it is delayed", || {
        field(&mut connection, "j00-a", "state") == "delayed"
    });
    assert!(field(&mut connection, "j00-a", "reason").contains("STALLED"));
    assert_eq!(field(&mut connection, "j00-a", "attempt"), "1");
    running.stop();
}

#[test]
fn a_handler_that_does_not_end_loses_its_lease_to_the_reaper() {
    let server = Server::start();
    let mut connection = server.connection();
    let (go, gone) = unbounded::<()>();
    let change = |options: &mut ActorOptions| {
        options.stall_timeout_s = 0.2;
        options.kill_grace_s = 0.3;
    };
    let running = Running::start(&server, change, move |_| {
        gone.recv().unwrap();
        Err(Failure::Interrupted)
    });
    submit(&mut connection, "j00-a", "{}");
    wait_until("it is reaped", || {
        reap(&mut connection);
        field(&mut connection, "j00-a", "crashes") == "1"
    });
    // The same actor may have taken it again, so both runs are let go.
    go.send(()).unwrap();
    go.send(()).unwrap();
    running.stop();
}

#[test]
fn failures_panics_and_bodies_too_long_become_codes() {
    let server = Server::start();
    let mut connection = server.connection();
    let running = Running::start(
        &server,
        |_| {},
        |task| match task.grant.job.as_str() {
            "j00-known" => Err(Failure::Failed {
                code: "NOT_MEDIA".to_owned(),
                detail: "words".to_owned(),
            }),
            "j00-long" => Ok(Outcome::Done {
                result: vec![b' '; 65_537],
                event: b"{}".to_vec(),
            }),
            _ => panic!("a bug"),
        },
    );
    for (job, code) in [
        ("j00-known", "NOT_MEDIA"),
        ("j00-long", "INTERNAL"),
        ("j00-bug", "INTERNAL"),
    ] {
        submit(&mut connection, job, "{}");
        wait_until("it is delayed", || {
            field(&mut connection, job, "state") == "delayed"
        });
        assert!(field(&mut connection, job, "reason").contains(code));
    }
    running.stop();
}
