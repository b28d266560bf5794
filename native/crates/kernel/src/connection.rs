//! Connections to Redis, and which errors mean "wait".
//!
//! The client library gives commands half a second and its managed connections retry by themselves.
//! Here every connection has explicit timeouts and nothing is sent twice but by the caller's decision.

use std::{thread, time::Duration};

use redis::{
    Client, Connection, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisError, RedisResult,
    ServerErrorKind,
};

use crate::options::{RedisOptions, seconds};

const FIRST_DELAY: Duration = Duration::from_millis(20);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

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

/// Whether a call that ended so may be sent again once the server is back.
#[must_use]
pub fn means_wait(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        _ => error.code().is_some_and(|code| WAIT_CODES.contains(&code)),
    }
}

/// Whether the connection is of no use after this error: it is broken, out of step, or leads to a
/// server that was demoted.
fn breaks_connection(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::AuthenticationFailed
            | ErrorKind::Server(ServerErrorKind::ReadOnly)
    )
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

/// One connection of one thread, made when it is needed and again after it broke.
pub struct Link {
    options: RedisOptions,
    /// The longest blocking read it is used for.
    block: Duration,
    connection: Option<Connection>,
}

impl Link {
    /// Connects at the first use.
    #[must_use]
    pub fn new(options: RedisOptions, block: Duration) -> Self {
        Self {
            options,
            block,
            connection: None,
        }
    }

    /// Uses the connection once. After an error that may have broken it, the next use makes a new one.
    pub fn once<T>(
        &mut self,
        mut send: impl FnMut(&mut Connection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let reply = send(&mut connection);
        if !reply.as_ref().is_err_and(breaks_connection) {
            self.connection = Some(connection);
        }
        reply
    }

    /// Sends a repeat-safe call until it is answered. Errors that do not mean "wait" pass.
    pub fn persist<T>(
        &mut self,
        mut send: impl FnMut(&mut Connection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let mut backoff = Backoff::default();
        loop {
            match self.once(&mut send) {
                Err(error) if means_wait(&error) => {
                    tracing::warn!(error = %error, "redis.awaited");
                    thread::sleep(backoff.pause());
                }
                reply => return reply,
            }
        }
    }

    fn connect(&self) -> RedisResult<Connection> {
        let mut info = self.options.url.as_str().into_connection_info()?;
        let mut redis = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP2);
        if let Some(username) = &self.options.username {
            redis = redis.set_username(username);
        }
        if let Some(password) = &self.options.password {
            redis = redis.set_password(password);
        }
        info = info.set_redis_settings(redis);
        let client = Client::open(info)?;
        let connection =
            client.get_connection_with_timeout(seconds(self.options.connect_timeout_s))?;
        let reply = seconds(self.options.reply_timeout_s);
        connection.set_write_timeout(Some(reply))?;
        connection.set_read_timeout(Some(reply + self.block))?;
        Ok(connection)
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
