//! A node of a Cluster that stands still: it takes connections and answers nothing.

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
use reelway_kernel::{keys::Partitions, options::RedisOptions};
use support::{
    running::{Running, done},
    servers::Cluster,
    submit_in, wait_until,
};

/// So many that the frozen node has several.
const PARTITIONS: u32 = 12;

#[test]
fn a_node_that_stands_still_delays_nothing_elsewhere() {
    let cluster = Cluster::start();
    let partitions = Partitions::new(PARTITIONS);
    let numbers = 0..partitions.count();
    let owners: Vec<usize> = numbers
        .clone()
        .map(|number| cluster.owner(&partitions.keys(number).root))
        .collect();
    let frozen = owners[0];
    let (there, away): (Vec<usize>, Vec<usize>) =
        numbers.partition(|number| owners[*number] != frozen);
    assert!(away.len() > 2 && there.len() > 2);
    let redis = RedisOptions {
        url: cluster.url(),
        connect_timeout_s: 0.5,
        reply_timeout_s: 1.0,
        ..RedisOptions::default()
    };
    let starts = Arc::new(AtomicUsize::new(0));
    let (tell, told) = unbounded();
    let (go, gone) = unbounded::<()>();
    let running = Running::start_with(
        redis,
        PARTITIONS,
        |setup| {
            setup.actor.concurrency = 20;
            setup.kernel.lease_s = 60.0;
        },
        {
            let starts = Arc::clone(&starts);
            move |task| {
                starts.fetch_add(1, Ordering::SeqCst);
                if task.grant.job.ends_with("-long") {
                    gone.recv().unwrap();
                } else {
                    tell.send(task.grant.job.clone()).unwrap();
                }
                Ok(done())
            }
        },
    );
    let submit = |number: usize, name: &str| {
        let keys = partitions.keys(number);
        let job = format!("j{number:02}-{name}");
        let node = &cluster.nodes[owners[number]];
        submit_in(&mut node.connection(), keys, &job, "a", "{}");
        job
    };
    // One of its partitions has running work, whose beats tell; the others have none.
    let long = submit(away[0], "long");
    wait_until("it runs", || starts.load(Ordering::SeqCst) == 1);
    cluster.nodes[frozen].signal("-STOP");

    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut round = 0;
    while begun.elapsed() < Duration::from_secs(10) {
        for number in &there {
            let before = Instant::now();
            let job = submit(*number, &round.to_string());
            assert_eq!(told.recv_timeout(Duration::from_secs(5)).unwrap(), job);
            slowest = slowest.max(before.elapsed());
        }
        round += 1;
    }
    println!("slowest start: {slowest:?} of {round} rounds");
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");

    cluster.nodes[frozen].signal("-CONT");
    go.send(()).unwrap();
    wait_until("it completes", || {
        let state: String = redis::cmd("HGET")
            .arg(partitions.keys(away[0]).job(&long))
            .arg("state")
            .query(&mut cluster.nodes[frozen].connection())
            .unwrap_or_default();
        state == "completed"
    });
    for number in &away {
        let job = submit(*number, "next");
        assert_eq!(told.recv_timeout(support::DEADLINE).unwrap(), job);
    }
    running.stop();
}
