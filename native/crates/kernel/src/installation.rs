//! What must be true of an installation's Redis before a role starts, as `actors/kernel/server.py` has it.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use redis::{ErrorKind, RedisError};

use crate::{
    connection::{Backoff, Link, means_wait},
    keys::Partitions,
    options::RedisOptions,
};

/// The format of the data in Redis that this program reads.
const FORMAT_VERSION: &str = "1";
const META: &str = "rw:{sys}:meta";

/// A Redis that does not fit.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It would drop keys, and jobs with them.
    #[error(
        "Redis is set to drop keys when its memory is full (maxmemory-policy {0}), which would lose jobs: set \
         maxmemory-policy to noeviction."
    )]
    Evicts(String),
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
    let mut link = Link::new(redis.clone(), Duration::ZERO);
    let (memory, made, format) = read(&mut link, partitions.count(), signals)?;
    let policy = memory
        .lines()
        .find_map(|line| line.trim().strip_prefix("maxmemory_policy:"))
        .unwrap_or("noeviction");
    if policy != "noeviction" {
        return Err(Unfit::Evicts(policy.to_owned()));
    }
    if made != partitions.count().to_string() {
        let asked = partitions.count();
        return Err(Unfit::Partitions { asked, made });
    }
    if format != FORMAT_VERSION {
        return Err(Unfit::Format(format));
    }
    Ok(())
}

fn read(
    link: &mut Link,
    partitions: usize,
    signals: &Receiver<()>,
) -> Result<(String, String, String), Unfit> {
    let mut pipeline = redis::pipe();
    pipeline
        .cmd("INFO")
        .arg("memory")
        .cmd("HSETNX")
        .arg(META)
        .arg("partitions")
        .arg(partitions)
        .ignore()
        .cmd("HSETNX")
        .arg(META)
        .arg("format")
        .arg(FORMAT_VERSION)
        .ignore()
        .cmd("HGET")
        .arg(META)
        .arg("partitions")
        .cmd("HGET")
        .arg(META)
        .arg("format");
    let mut backoff = Backoff::default();
    loop {
        match link.once(|connection| pipeline.query(connection)) {
            // Waiting does not make a wrong password right.
            Err(error) if means_wait(&error) && error.kind() != ErrorKind::AuthenticationFailed => {
                tracing::warn!(error = %error, "redis.awaited");
                if signals.recv_timeout(backoff.pause()) != Err(RecvTimeoutError::Timeout) {
                    return Err(Unfit::Stopped);
                }
            }
            reply => return Ok(reply?),
        }
    }
}
