//! What must be true of an installation's Redis before a role starts, as `actors/kernel/server.py` has it.

use std::{error::Error, io, sync::Arc, time::Duration};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use redis::{Connection, ErrorKind, RedisError, RedisResult};

use crate::{
    connection::{Backoff, Link, is_full, means_wait},
    dial::certificates,
    keys::{Partitions, slot},
    options::RedisOptions,
    topology::Topology,
};

/// The format of the data in Redis that this program reads.
const FORMAT_VERSION: &str = "1";
const META: &str = "rw:{sys}:meta";
/// The oldest server with every command that the scripts use.
const OLDEST: (u32, u32) = (6, 2);

/// A Redis that does not fit.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It would drop keys, and jobs with them.
    #[error(
        "Redis is set to drop keys when its memory is full (maxmemory-policy {0}), which would lose jobs: set \
         maxmemory-policy to noeviction."
    )]
    Evicts(String),
    /// The address should say so.
    #[error(
        "Redis at redis.url is a node of a Redis Cluster. Use redis+cluster:// in the address."
    )]
    Cluster,
    /// The address should say so.
    #[error(
        "Redis at redis.url is a Sentinel. Use redis+sentinel://host:port/name in the address."
    )]
    Sentinel,
    /// It lacks commands.
    #[error("Redis {0} is too old: 6.2 or newer is needed.")]
    Old(String),
    /// The number of partitions cannot be changed.
    #[error(
        "redis.partitions is {asked}, but this installation was made with {made}: the number cannot be changed later."
    )]
    Partitions {
        /// What the settings say.
        asked: usize,
        /// What the installation says.
        made: String,
    },
    /// Data of another version.
    #[error(
        "Redis holds data of format {0}, and this program reads {FORMAT_VERSION}: use the version of Reelway that wrote it."
    )]
    Format(String),
    /// A signal came before Redis answered.
    #[error("stopped before Redis answered")]
    Stopped,
    /// The address, the user or the rights are wrong.
    #[error("Redis at redis.url refuses to work with us: {0}.")]
    Refused(#[from] RedisError),
}

/// Waits for Redis, or for a signal, then compares it with the settings. The first role records what it
/// finds missing.
pub fn check(
    redis: &RedisOptions,
    partitions: &Partitions,
    signals: &Receiver<()>,
) -> Result<(), Unfit> {
    // Waiting does not mend these.
    let alone = matches!(Topology::of(redis)?, Topology::Server(_));
    certificates(redis)?;
    let mut link = Link::new(redis.clone(), Duration::ZERO);
    let slots = until_answered(signals, || link.primaries())?;
    for slot in slots {
        let info = until_answered(signals, || {
            link.once(slot, |connection| {
                let server: String = redis::cmd("INFO").arg("server").query(connection)?;
                let memory: String = redis::cmd("INFO").arg("memory").query(connection)?;
                Ok(server + &memory)
            })
        })?;
        fits(&info, alone)?;
    }
    let count = partitions.count();
    let (made, format) = until_answered(signals, || {
        link.once(slot("sys"), |connection| recorded(connection, count))
    })?;
    if made != count.to_string() {
        let asked = count;
        return Err(Unfit::Partitions { asked, made });
    }
    if format != FORMAT_VERSION {
        return Err(Unfit::Format(format));
    }
    Ok(())
}

/// Reads what one server says of itself; `alone`: the address names this one server.
fn fits(info: &str, alone: bool) -> Result<(), Unfit> {
    let line = |name: &str| {
        info.lines()
            .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))
    };
    match line("server_mode").or(line("redis_mode")) {
        Some("sentinel") => return Err(Unfit::Sentinel),
        Some("cluster") if alone => return Err(Unfit::Cluster),
        _ => {}
    }
    // Valkey says first which Redis it is like.
    let version = line("valkey_version").or(line("redis_version"));
    let version = version.unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let release = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if release < OLDEST {
        return Err(Unfit::Old(version.to_owned()));
    }
    let policy = line("maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" {
        return Err(Unfit::Evicts(policy.to_owned()));
    }
    Ok(())
}

/// Number of partitions and format of the installation, as it was made.
///
/// What is recorded is only read: a full Redis allows no write, and its roles must be able to start,
/// for they are who makes room.
fn recorded(connection: &mut Connection, partitions: usize) -> RedisResult<(String, String)> {
    let mut read = redis::cmd("HMGET");
    read.arg(META).arg("partitions").arg("format");
    if let (Some(made), Some(format)) = read.query(connection)? {
        return Ok((made, format));
    }
    let mut set = |name: &str, value: &str| {
        redis::cmd("HSETNX")
            .arg(META)
            .arg(name)
            .arg(value)
            .exec(connection)
    };
    set("partitions", &partitions.to_string())?;
    set("format", FORMAT_VERSION)?;
    read.query(connection)
}

fn until_answered<T>(
    signals: &Receiver<()>,
    mut ask: impl FnMut() -> RedisResult<T>,
) -> Result<T, Unfit> {
    let mut backoff = Backoff::default();
    loop {
        match ask() {
            Err(error) if (means_wait(&error) || is_full(&error)) && !is_refused(&error) => {
                tracing::warn!(error = %error, "redis.awaited");
                if signals.recv_timeout(backoff.pause()) != Err(RecvTimeoutError::Timeout) {
                    return Err(Unfit::Stopped);
                }
            }
            reply => return Ok(reply?),
        }
    }
}

/// Whether somebody has to change something first: waiting makes neither a wrong password right nor a
/// certificate that we do not believe.
fn is_refused(error: &RedisError) -> bool {
    // The library keeps the cause behind a shared pointer.
    type Shared = Arc<dyn Error + Send + Sync>;
    let inner = error
        .source()
        .and_then(|source| source.downcast_ref::<Shared>())
        .and_then(|cause| cause.downcast_ref::<io::Error>())
        .and_then(io::Error::get_ref);
    let unbelieved = inner.is_some_and(|inner| {
        matches!(
            inner.downcast_ref(),
            Some(rustls::Error::InvalidCertificate(_))
        )
    });
    unbelieved || error.kind() == ErrorKind::AuthenticationFailed
}
