//! Several servers with ports: nodes of a Cluster, a primary with its replica, a Sentinel. They keep
//! nothing.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use redis::Connection;
use tempfile::TempDir;

use super::{program, wait_until};

/// One server. It is ended when the test ends.
pub(crate) struct Node {
    pub(crate) port: u16,
    _directory: TempDir,
    process: Child,
}

impl Node {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("rw-").tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(program());
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--repl-diskless-sync-delay", "0"])
            .args(arguments);
        Self::launch(port, directory, command)
    }

    /// A Sentinel that watches `service` at the port. One of them decides.
    pub(crate) fn start_sentinel(service: &str, primary: u16) -> Self {
        let directory = tempfile::Builder::new().prefix("rw-").tempdir().unwrap();
        let port = free_port();
        let file = directory.path().join("sentinel.conf");
        let lines = [
            format!("port {port}"),
            "bind 127.0.0.1".to_owned(),
            format!("sentinel monitor {service} 127.0.0.1 {primary} 1"),
            format!("sentinel down-after-milliseconds {service} 300"),
            format!("sentinel failover-timeout {service} 2000"),
        ];
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        let mut command = Command::new(program());
        command.arg(&file).arg("--sentinel");
        Self::launch(port, directory, command)
    }

    fn launch(port: u16, directory: TempDir, mut command: Command) -> Self {
        let process = command
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a redis-server: put one on PATH or name it in REELWAY_TEST_REDIS_SERVER");
        let node = Self {
            port,
            _directory: directory,
            process,
        };
        node.connection();
        node
    }

    pub(crate) fn connection(&self) -> Connection {
        connection(self.port)
    }

    /// SIGKILL, as a crash.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// `-STOP` or `-CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection, as soon as the server answers.
pub(crate) fn connection(port: u16) -> Connection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let mut found = None;
    wait_until("redis-server answers", || {
        found = client.get_connection().ok();
        found
            .as_mut()
            .is_some_and(|connection| redis::cmd("PING").exec(connection).is_ok())
    });
    found.unwrap()
}

/// A port that is free, and the one of a Cluster's bus that belongs to it.
fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(20_000..40_000);
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 10_000) {
            return port;
        }
    }
}

/// Primaries that share the slots, and a replica of the first.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
}

const PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;

impl Cluster {
    pub(crate) fn start() -> Self {
        let nodes: Vec<Node> = (0..=PRIMARIES)
            .map(|_| {
                Node::start(&[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "800",
                    "--cluster-require-full-coverage",
                    "no",
                ])
            })
            .collect();
        for (number, node) in nodes.iter().enumerate() {
            let mut connection = node.connection();
            let mut cluster = |words: &[String]| {
                redis::cmd("CLUSTER")
                    .arg(words)
                    .exec(&mut connection)
                    .unwrap();
            };
            // Each with a configuration of its own, so that they agree at once.
            cluster(&["SET-CONFIG-EPOCH".to_owned(), (number + 1).to_string()]);
            if number < PRIMARIES {
                let slots = number * SLOTS / PRIMARIES..(number + 1) * SLOTS / PRIMARIES;
                let slots = slots.map(|slot| slot.to_string());
                cluster(
                    &std::iter::once("ADDSLOTS".to_owned())
                        .chain(slots)
                        .collect::<Vec<_>>(),
                );
            }
            let first = nodes[0].port.to_string();
            cluster(&["MEET".to_owned(), "127.0.0.1".to_owned(), first]);
        }
        let cluster = Self { nodes };
        let agreed = |cluster: &Self| {
            cluster.nodes.iter().all(|node| {
                let info: String = redis::cmd("CLUSTER")
                    .arg("INFO")
                    .query(&mut node.connection())
                    .unwrap();
                info.contains("cluster_state:ok")
                    && info.contains(&format!("cluster_known_nodes:{}", PRIMARIES + 1))
                    && info.contains("cluster_slots_assigned:16384")
            })
        };
        wait_until("the nodes agree", || agreed(&cluster));
        cluster
    }

    /// Makes the last node a replica of the node with that number.
    pub(crate) fn replicate(&self, number: usize) {
        let id: String = redis::cmd("CLUSTER")
            .arg("MYID")
            .query(&mut self.nodes[number].connection())
            .unwrap();
        let mut replica = self.nodes[PRIMARIES].connection();
        redis::cmd("CLUSTER")
            .arg("REPLICATE")
            .arg(id)
            .exec(&mut replica)
            .unwrap();
        wait_until("the replica follows", || {
            let info: String = redis::cmd("INFO")
                .arg("replication")
                .query(&mut replica)
                .unwrap();
            info.contains("role:slave") && info.contains("master_link_status:up")
        });
    }

    pub(crate) fn url(&self) -> String {
        let ports: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        format!("redis+cluster://{}", ports.join(","))
    }

    /// The number of the node that has the slot of the key.
    pub(crate) fn owner(&self, key: &str) -> usize {
        let slot: usize = redis::cmd("CLUSTER")
            .arg("KEYSLOT")
            .arg(key)
            .query(&mut self.nodes[1].connection())
            .unwrap();
        slot * PRIMARIES / SLOTS
    }
}
