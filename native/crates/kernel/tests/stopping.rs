//! The actor loop against a live Redis: drains, and a Redis that goes away.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::unbounded;
use reelway_kernel::{
    handler::Failure,
    installation::{self, Unfit},
    keys::Partitions,
    options::{ActorOptions, RedisOptions},
    scripts::Verb,
};
use support::{
    Server, count, field, hash,
    proxy::Proxy,
    running::{Running, cancel, done, reap, until_interrupted},
    submit, wait_until,
};

#[test]
fn a_drain_finishes_what_runs_and_takes_nothing_new() {
    let server = Server::start();
    let mut connection = server.connection();
    let (go, gone) = unbounded::<()>();
    let running = Running::start(
        &server,
        |options| options.concurrency = 1,
        move |_| {
            gone.recv().unwrap();
            Ok(done())
        },
    );
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    submit(&mut connection, "j00-b", "{}");
    running.signals.send(()).unwrap();
    let begun = Instant::now();
    // Two leases long: the beats outlive the drain.
    wait_until("time passes", || {
        reap(&mut connection);
        begun.elapsed() > Duration::from_secs(2)
    });
    go.send(()).unwrap();
    running.thread.join().unwrap();
    assert_eq!(field(&mut connection, "j00-a", "state"), "completed");
    assert_eq!(count(&mut connection, "j00-a", "crashes"), 0);
    assert_eq!(field(&mut connection, "j00-b", "state"), "queued");
}

#[test]
fn what_does_not_fit_into_the_grace_is_given_back() {
    let server = Server::start();
    let mut connection = server.connection();
    for signals in [1, 2] {
        let grace_s = if signals == 1 { 0.3 } else { 600.0 };
        let job = format!("j00-{signals}");
        let running = Running::start(
            &server,
            |options| options.drain_grace_s = grace_s,
            until_interrupted,
        );
        submit(&mut connection, &job, "{}");
        wait_until("it runs", || {
            field(&mut connection, &job, "state") == "running"
        });
        for _ in 0..signals {
            running.signals.send(()).unwrap();
        }
        running.thread.join().unwrap();
        let found = hash(&mut connection, &job);
        assert_eq!(found["state"], "queued");
        assert_eq!(found["inbox"], "in:a:cpu:again");
        assert_eq!(count(&mut connection, &job, "attempt"), 0);
        assert_eq!(count(&mut connection, &job, "crashes"), 0);
        assert!(found["reason"].contains("WORKER_STOPPING"));
        // Out of the way of the next round.
        cancel(&mut connection, &job);
    }
}

#[test]
fn beats_go_on_until_what_was_given_back_has_ended() {
    let server = Server::start();
    let mut connection = server.connection();
    let running = Running::start(
        &server,
        |_| {},
        |task| {
            let _ = task.interruption().recv();
            // Two leases long: a handler may need its time to end.
            let begun = Instant::now();
            wait_until("it ends", || begun.elapsed() > Duration::from_secs(2));
            Err(Failure::Interrupted)
        },
    );
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    running.signals.send(()).unwrap();
    running.signals.send(()).unwrap();
    wait_until("it is given back", || {
        reap(&mut connection);
        field(&mut connection, "j00-a", "state") == "queued"
    });
    running.thread.join().unwrap();
    assert!(field(&mut connection, "j00-a", "ended").starts_with("release "));
    assert_eq!(count(&mut connection, "j00-a", "attempt"), 0);
    assert_eq!(count(&mut connection, "j00-a", "crashes"), 0);
}

#[test]
fn a_drain_gives_back_what_a_lost_reply_had_granted() {
    let server = Server::start();
    let mut connection = server.connection();
    let proxy = Proxy::start(&server, Verb::Take.digest());
    let redis = RedisOptions {
        url: format!("unix://{}", proxy.socket.display()),
        ..RedisOptions::default()
    };
    let started = Arc::new(AtomicUsize::new(0));
    let running = Running::start_with(redis, 1, |setup| setup.kernel.lease_s = 5.0, {
        let started = Arc::clone(&started);
        move |task| {
            started.fetch_add(1, Ordering::SeqCst);
            until_interrupted(task)
        }
    });
    wait_until("it listens", || {
        let clients: String = redis::cmd("CLIENT")
            .arg("LIST")
            .query(&mut connection)
            .unwrap();
        clients.contains("cmd=xread")
    });
    proxy.lose_next();
    submit(&mut connection, "j00-a", "{}");
    wait_until("its reply is lost", || proxy.has_lost());
    assert_eq!(field(&mut connection, "j00-a", "state"), "running");
    running.signals.send(()).unwrap();
    proxy.open();
    running.thread.join().unwrap();
    assert_eq!(started.load(Ordering::SeqCst), 0);
    let job = hash(&mut connection, "j00-a");
    assert_eq!(
        (job["state"].as_str(), job["inbox"].as_str()),
        ("queued", "in:a:cpu:again")
    );
    assert_eq!(count(&mut connection, "j00-a", "crashes"), 0);
}

#[test]
fn work_goes_on_over_a_crash_of_redis() {
    let server = Server::start();
    let mut connection = server.connection();
    let (go, gone) = unbounded::<()>();
    let count = Arc::new(AtomicUsize::new(0));
    let running = Running::start(&server, |_| {}, {
        let count = Arc::clone(&count);
        move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            gone.recv().unwrap();
            Ok(done())
        }
    });
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || count.load(Ordering::SeqCst) == 1);
    server.kill();
    go.send(()).unwrap();
    server.start_again();
    let mut connection = server.connection();
    wait_until("it completes", || {
        field(&mut connection, "j00-a", "state") == "completed"
    });
    submit(&mut connection, "j00-b", "{}");
    go.send(()).unwrap();
    wait_until("the next one too", || {
        field(&mut connection, "j00-b", "state") == "completed"
    });
    assert_eq!(count.load(Ordering::SeqCst), 2);
    running.stop();
}

#[test]
fn an_actor_stops_although_redis_is_gone() {
    let server = Server::start();
    let mut connection = server.connection();
    let change = |options: &mut ActorOptions| {
        options.drain_grace_s = 0.1;
        options.kill_grace_s = 0.2;
    };
    let running = Running::start(&server, change, until_interrupted);
    submit(&mut connection, "j00-a", "{}");
    wait_until("it runs", || {
        field(&mut connection, "j00-a", "state") == "running"
    });
    server.kill();
    let begun = Instant::now();
    running.stop();
    assert!(begun.elapsed() < Duration::from_secs(4));
    server.start_again();
}

#[test]
fn a_role_starts_on_a_full_redis() {
    let server = Server::start();
    let mut connection = server.connection();
    let mut limit = |bytes: u32| {
        redis::cmd("CONFIG")
            .arg("SET")
            .arg("maxmemory")
            .arg(bytes)
            .exec(&mut connection)
            .unwrap();
    };
    let (signals, heard) = unbounded();
    let options = server.options();
    limit(1);
    // A new installation has something to write, so it waits until there is room or it is stopped.
    signals.send(()).unwrap();
    let new = installation::check(&options, &Partitions::new(4), &heard);
    assert!(matches!(new, Err(Unfit::Stopped)), "{new:?}");
    limit(0);
    installation::check(&options, &Partitions::new(4), &heard).unwrap();
    limit(1);
    installation::check(&options, &Partitions::new(4), &heard).unwrap();
}

#[test]
fn a_redis_that_does_not_fit_is_refused() {
    let server = Server::start();
    let mut connection = server.connection();
    let (_signals, heard) = unbounded();
    let options = server.options();
    installation::check(&options, &Partitions::new(4), &heard).unwrap();
    let other = installation::check(&options, &Partitions::new(5), &heard).unwrap_err();
    assert!(other.to_string().contains("made with 4"), "{other}");
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory-policy")
        .arg("allkeys-lru")
        .exec(&mut connection)
        .unwrap();
    let evicting = installation::check(&options, &Partitions::new(4), &heard);
    assert!(matches!(evicting, Err(Unfit::Evicts(policy)) if policy == "allkeys-lru"));
}
