//! Connections to Redis, and which errors mean "wait".
//!
//! The client library gives commands half a second and its managed connections retry by themselves.
//! Here every connection has explicit timeouts and nothing is sent twice but by the caller's decision,
//! or because a node of a Cluster said that another one has the slot.

use std::{collections::BTreeMap, thread, time::Duration};

use redis::{Connection, ErrorKind, RedisError, RedisResult};

use crate::{
    dial::Dialer,
    options::{RedisOptions, seconds},
    routes::Routes,
    topology::Node,
};

const FIRST_DELAY: Duration = Duration::from_millis(20);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// How often one call follows a slot that moved.
const REDIRECTIONS: u32 = 3;

/// Replies of a server that will answer later: fail-over, start, a long script, a full disk.
const WAIT_CODES: [&str; 9] = [
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "NOREPLICAS",
    "UNBLOCKED",
    "BUSY",
    "MISCONF",
];

/// Those of a node that should not have been asked: it was demoted, or is cut off from the others.
const WRONG_NODE_CODES: [&str; 4] = ["READONLY", "MASTERDOWN", "CLUSTERDOWN", "UNBLOCKED"];

/// A slot that went elsewhere, or is on its way.
const MOVING_CODES: [&str; 2] = ["MOVED", "ASK"];

/// Whether a call that ended so may be sent again once the server is back.
#[must_use]
pub fn means_wait(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        _ => code(error)
            .is_some_and(|code| WAIT_CODES.contains(&code) || MOVING_CODES.contains(&code)),
    }
}

/// Whether the connection is of no use after this error: it is broken, out of step, or leads to the
/// wrong node.
fn breaks_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        _ => code(error).is_some_and(|code| WRONG_NODE_CODES.contains(&code)),
    }
}

/// Whether Redis refused a growing write for want of memory.
pub(crate) fn is_full(error: &RedisError) -> bool {
    code(error) == Some("OOM")
}

/// The code of a server's error. Redis 6.2 writes what a command inside a script was refused for behind
/// words of its own: `ERR Error running script (…): @user_script:1: -READONLY You can't …`.
fn code(error: &RedisError) -> Option<&str> {
    let code = error.code()?;
    let inner = error
        .detail()
        .filter(|detail| code == "ERR" && detail.starts_with("Error running script"))
        .and_then(|detail| detail.split(": -").nth(1))
        .and_then(|reply| reply.split_whitespace().next());
    Some(inner.unwrap_or(code))
}

/// Pauses between attempts: doubled up to a second, half of each drawn at random.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST_DELAY }
    }
}

impl Backoff {
    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.5 + 0.5 * fastrand::f64());
        self.next = (self.next * 2).min(LONGEST_DELAY);
        pause
    }
}

/// The connections of one thread: one, or in a Cluster one to each node that it needs. Each is made when
/// it is needed, and again after it broke.
pub struct Link {
    options: RedisOptions,
    /// The longest blocking read it is used for.
    block: Duration,
    routes: Option<Routes>,
    connections: BTreeMap<Option<Node>, Connection>,
}

impl Link {
    /// Connects at the first use.
    #[must_use]
    pub fn new(options: RedisOptions, block: Duration) -> Self {
        Self {
            options,
            block,
            routes: None,
            connections: BTreeMap::new(),
        }
    }

    /// Uses the connection to the slot's primary once. After an error that may have broken it, or came from
    /// the wrong node, the next use finds out anew where that is.
    pub fn once<T>(
        &mut self,
        slot: u16,
        mut send: impl FnMut(&mut Connection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let dialer = Dialer {
            options: &self.options,
            reply: seconds(self.options.reply_timeout_s) + self.block,
        };
        let routes = known(&mut self.routes, &self.options)?;
        let mut redirections = 0;
        loop {
            let node = routes.node(&self.options, slot)?;
            let connected = match self.connections.remove(&node) {
                Some(connection) => Ok(connection),
                None => routes.dial(&dialer, node.as_ref()),
            };
            let mut connection = match connected {
                Ok(connection) => connection,
                Err(error) => {
                    routes.forget();
                    return Err(error);
                }
            };
            let reply = send(&mut connection);
            let error = reply.as_ref().err();
            if error.is_some_and(breaks_connection) {
                routes.forget();
                return reply;
            }
            let moved = error.and_then(RedisError::redirect_node);
            let redirected = moved.is_some_and(|(target, _)| {
                error.is_some_and(|error| error.code() == Some("MOVED"))
                    && routes.moved(slot, node.as_ref(), target)
            });
            self.connections.insert(node, connection);
            // A redirected call was not carried out: to send it elsewhere is no repetition.
            if !redirected || redirections == REDIRECTIONS {
                return reply;
            }
            redirections += 1;
        }
    }

    /// Sends a repeat-safe call until it is answered. Errors that do not mean "wait" pass.
    pub fn persist<T>(
        &mut self,
        slot: u16,
        mut send: impl FnMut(&mut Connection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let mut backoff = Backoff::default();
        loop {
            match self.once(slot, &mut send) {
                Err(error) if means_wait(&error) => {
                    tracing::warn!(error = %error, "redis.awaited");
                    thread::sleep(backoff.pause());
                }
                reply => return reply,
            }
        }
    }

    /// One slot of every primary, so that each can be asked.
    pub(crate) fn primaries(&mut self) -> RedisResult<Vec<u16>> {
        known(&mut self.routes, &self.options)?.primaries(&self.options)
    }
}

fn known<'a>(
    routes: &'a mut Option<Routes>,
    options: &RedisOptions,
) -> RedisResult<&'a mut Routes> {
    match routes {
        Some(routes) => Ok(routes),
        none => Ok(none.insert(Routes::new(options)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_keep_half() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..20).map(|_| backoff.pause()).collect();
        assert!(pauses[0] >= FIRST_DELAY / 2 && pauses[0] <= FIRST_DELAY);
        assert!(pauses[19] >= LONGEST_DELAY / 2 && pauses[19] <= LONGEST_DELAY);
    }
}
