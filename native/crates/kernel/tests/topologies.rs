//! The actor on a Redis Cluster and behind Sentinels, with nodes that go away.

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
use redis::Connection;
use reelway_kernel::{
    connection::{Link, means_wait},
    installation::{self, Unfit},
    keys::Partitions,
    options::RedisOptions,
};
use support::{
    partition,
    running::{Running, done},
    servers::{Cluster, Node, connection},
    submit, submit_in, wait_until,
};

const PARTITIONS: u32 = 4;

fn options(url: String) -> RedisOptions {
    RedisOptions {
        url,
        connect_timeout_s: 0.5,
        reply_timeout_s: 1.0,
        ..RedisOptions::default()
    }
}

/// A field of a job, wherever in a Cluster it is; empty while its node does not answer.
fn field_of(link: &mut Link, partition: usize, job: &str, name: &str) -> String {
    let partitions = Partitions::new(PARTITIONS);
    let keys = partitions.keys(partition);
    let found = link.once(keys.slot(), |connection| {
        redis::cmd("HGET")
            .arg(keys.job(job))
            .arg(name)
            .query(connection)
    });
    found.unwrap_or_default()
}

/// A job for every partition, and where to submit it.
fn jobs() -> Vec<(usize, String)> {
    (0..PARTITIONS as usize)
        .map(|number| (number, format!("j{number:02}-a")))
        .collect()
}

fn submit_at(cluster: &Cluster, partition: usize, job: &str) {
    let partitions = Partitions::new(PARTITIONS);
    let keys = partitions.keys(partition);
    let owner = cluster.owner(&keys.job(job));
    submit_in(&mut cluster.nodes[owner].connection(), keys, job, "a", "{}");
}

#[test]
fn an_idle_actor_on_a_cluster_starts_a_job_of_any_partition_at_once() {
    let cluster = Cluster::start();
    let redis = options(cluster.url());
    let (_signals, heard) = unbounded();
    installation::check(&redis, &Partitions::new(PARTITIONS), &heard).unwrap();
    let as_one = options(format!("redis://127.0.0.1:{}", cluster.nodes[0].port));
    let refused = installation::check(&as_one, &Partitions::new(PARTITIONS), &heard);
    assert!(matches!(refused, Err(Unfit::Cluster)), "{refused:?}");
    let (tell, told) = unbounded();
    let running = Running::start_with(
        redis.clone(),
        PARTITIONS,
        |_| {},
        move |task| {
            tell.send((task.grant.job.clone(), Instant::now())).unwrap();
            Ok(done())
        },
    );
    let mut link = Link::new(redis, Duration::ZERO);
    for round in ["", "b"] {
        for (partition, job) in jobs() {
            let job = job + round;
            let before = Instant::now();
            submit_at(&cluster, partition, &job);
            let (started, at) = told.recv_timeout(Duration::from_secs(3)).unwrap();
            assert_eq!(started, job);
            // The first round may meet an actor that has not listened yet.
            if !round.is_empty() {
                assert!(
                    at - before < Duration::from_millis(500),
                    "{:?}",
                    at - before
                );
            }
            wait_until("it completes", || {
                field_of(&mut link, partition, &job, "state") == "completed"
            });
        }
    }
    running.stop();
}

#[test]
fn a_slot_that_moves_is_followed() {
    let cluster = Cluster::start();
    let mut link = Link::new(options(cluster.url()), Duration::ZERO);
    let partitions = Partitions::new(1);
    let keys = partitions.keys(0);
    let ask = |link: &mut Link| {
        link.once(keys.slot(), |connection| {
            redis::cmd("INCR")
                .arg(format!("{}counted", keys.root))
                .query::<u32>(connection)
        })
    };
    assert_eq!(ask(&mut link).unwrap(), 1);
    let from = cluster.owner(&keys.root);
    let to = (from + 1) % 3;
    let cluster_command = |node: &Node, words: &[&str]| -> String {
        redis::cmd("CLUSTER")
            .arg(words)
            .query(&mut node.connection())
            .unwrap()
    };
    let slot = keys.slot().to_string();
    let id = cluster_command(&cluster.nodes[to], &["MYID"]);
    redis::cmd("DEL")
        .arg(format!("{}counted", keys.root))
        .exec(&mut cluster.nodes[from].connection())
        .unwrap();
    for number in [to, from] {
        cluster_command(&cluster.nodes[number], &["SETSLOT", &slot, "NODE", &id]);
    }
    assert_eq!(ask(&mut link).unwrap(), 1);
    assert_eq!(ask(&mut link).unwrap(), 2);
}

#[test]
fn a_node_that_goes_away_holds_up_nothing_of_the_others() {
    let mut cluster = Cluster::start();
    let partitions = Partitions::new(PARTITIONS);
    let lost = cluster.owner(&partitions.keys(0).root);
    cluster.replicate(lost);
    let (there, away): (Vec<_>, Vec<_>) = jobs()
        .into_iter()
        .partition(|(number, _)| cluster.owner(&partitions.keys(*number).root) != lost);
    let redis = options(cluster.url());
    let started = Arc::new(AtomicUsize::new(0));
    let (go, gone) = unbounded::<()>();
    let running = Running::start_with(
        redis.clone(),
        PARTITIONS,
        |setup| {
            setup.actor.concurrency = 8;
            setup.kernel.lease_s = 2.0;
        },
        {
            let started = Arc::clone(&started);
            move |task| {
                started.fetch_add(1, Ordering::SeqCst);
                if task.grant.job.ends_with("-a") {
                    gone.recv().unwrap();
                }
                Ok(done())
            }
        },
    );
    for (partition, job) in jobs() {
        submit_at(&cluster, partition, &job);
    }
    wait_until("they run", || started.load(Ordering::SeqCst) == 4);
    let waited: u32 = redis::cmd("WAIT")
        .arg(1)
        .arg(5000)
        .query(&mut cluster.nodes[lost].connection())
        .unwrap();
    assert_eq!(waited, 1);
    cluster.nodes[lost].kill();

    // While nobody has the slots of the lost node, the others go on.
    let mut link = Link::new(redis, Duration::ZERO);
    let (partition, _) = &there[0];
    let another = format!("j{partition:02}-b");
    let before = Instant::now();
    submit_at(&cluster, *partition, &another);
    wait_until("work elsewhere goes on", || {
        field_of(&mut link, *partition, &another, "state") == "completed"
    });
    let took = before.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    for (partition, _) in &there {
        let keys = partitions.keys(*partition);
        let owner = &cluster.nodes[cluster.owner(&keys.root)];
        assert!(lease_left(&mut owner.connection(), &keys.root) > 0);
    }

    for _ in jobs() {
        go.send(()).unwrap();
    }
    for (partition, job) in there.iter().chain(&away) {
        wait_until("it completes, on the promoted replica too", || {
            field_of(&mut link, *partition, job, "state") == "completed"
        });
    }
    assert_eq!(started.load(Ordering::SeqCst), 5);
    running.stop();
}

/// Milliseconds of the first lease that are left.
fn lease_left(connection: &mut Connection, root: &str) -> i64 {
    let (seconds, microseconds): (i64, i64) = redis::cmd("TIME").query(connection).unwrap();
    let rows: Vec<(String, i64)> = redis::cmd("ZRANGE")
        .arg(format!("{root}leases"))
        .arg(0)
        .arg(0)
        .arg("WITHSCORES")
        .query(connection)
        .unwrap();
    rows[0].1 - (seconds * 1000 + microseconds / 1000)
}

#[test]
fn work_goes_on_behind_sentinels_when_the_primary_dies() {
    let mut primary = Node::start(&[]);
    let replica = Node::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let mut inside = replica.connection();
    wait_until("the replica follows", || {
        let info: String = redis::cmd("INFO")
            .arg("replication")
            .query(&mut inside)
            .unwrap();
        info.contains("master_link_status:up")
    });
    let sentinel = Node::start_sentinel("media", primary.port);
    wait_until("the Sentinel knows the replica", || {
        let mut connection = connection(sentinel.port);
        let known: Vec<redis::Value> = redis::cmd("SENTINEL")
            .arg("replicas")
            .arg("media")
            .query(&mut connection)
            .unwrap();
        !known.is_empty()
    });
    let redis = options(format!(
        "redis+sentinel://127.0.0.1:{}/media",
        sentinel.port
    ));
    let (_signals, heard) = unbounded();
    installation::check(&redis, &Partitions::new(1), &heard).unwrap();
    let as_server = options(format!("redis://127.0.0.1:{}", sentinel.port));
    let refused = installation::check(&as_server, &Partitions::new(1), &heard);
    assert!(matches!(refused, Err(Unfit::Sentinel)), "{refused:?}");
    let started = Arc::new(AtomicUsize::new(0));
    let (go, gone) = unbounded::<()>();
    let running = Running::start_with(redis, 1, |setup| setup.kernel.lease_s = 10.0, {
        let started = Arc::clone(&started);
        move |_| {
            started.fetch_add(1, Ordering::SeqCst);
            gone.recv().unwrap();
            Ok(done())
        }
    });
    submit(&mut primary.connection(), "j00-a", "{}");
    wait_until("it runs", || started.load(Ordering::SeqCst) == 1);
    let waited: u32 = redis::cmd("WAIT")
        .arg(1)
        .arg(5000)
        .query(&mut primary.connection())
        .unwrap();
    assert_eq!(waited, 1);
    primary.kill();
    go.send(()).unwrap();
    // A Sentinel that promotes a replica closes its connections.
    let state = |job: &str| -> String {
        redis::cmd("HGET")
            .arg(partition().job(job))
            .arg("state")
            .query(&mut replica.connection())
            .unwrap_or_default()
    };
    wait_until("it completes at the new primary", || {
        state("j00-a") == "completed"
    });
    submit(&mut replica.connection(), "j00-b", "{}");
    go.send(()).unwrap();
    wait_until("the next one too", || state("j00-b") == "completed");
    assert_eq!(started.load(Ordering::SeqCst), 2);
    running.stop();
}

#[test]
fn a_refusal_inside_a_script_is_seen_in_every_version() {
    let primary = Node::start(&[]);
    let replica = Node::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let refused = redis::cmd("EVAL")
        .arg("return redis.call('SET', KEYS[1], '')")
        .arg(1)
        .arg("key")
        .exec(&mut replica.connection())
        .unwrap_err();
    assert!(means_wait(&refused), "{refused}");
    let wrong = redis::cmd("EVAL")
        .arg("return redis.call('NONE')")
        .arg(0)
        .exec(&mut primary.connection())
        .unwrap_err();
    assert!(!means_wait(&wrong), "{wrong}");
}
