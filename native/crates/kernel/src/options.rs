//! What the kernel can be told. The fields and defaults are those of `actors/kernel/options.py`.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

/// How to reach Redis or Valkey (6.2 or newer).
#[derive(Clone, Deserialize)]
#[serde(default)]
pub struct RedisOptions {
    /// One of the addresses of `topology`.
    pub url: String,
    /// Name of the user, when the server has users.
    pub username: Option<String>,
    /// Password of the user.
    pub password: Option<String>,
    /// Name of the user at the Sentinels.
    pub sentinel_username: Option<String>,
    /// Password of that user.
    pub sentinel_password: Option<String>,
    /// PEM file of the authorities that sign the servers' certificates; without one, those of the
    /// machine.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate, for servers that want one.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
    /// Longest time for making a connection.
    pub connect_timeout_s: f64,
    /// A command without a reply for so long counts as a broken connection. Blocking reads add their
    /// block time.
    pub reply_timeout_s: f64,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379/0".to_owned(),
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            connect_timeout_s: 2.0,
            reply_timeout_s: 5.0,
        }
    }
}

impl RedisOptions {
    /// Whether the address names a Cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.url.starts_with("redis+cluster:") || self.url.starts_with("rediss+cluster:")
    }
}

/// Times and bounds of leases, budgets and histories. Equal in every process of one installation.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct KernelOptions {
    /// A worker that is silent for so long has lost its stage.
    pub lease_s: f64,
    /// Interval of heartbeats; three may be lost before a lease ends.
    pub beat_s: f64,
    /// How long a terminal job can be read after its end.
    pub retention_s: f64,
    /// Durable events kept per job.
    pub log_length: u64,
    /// Durable events kept per partition (approximately).
    pub feed_length: u64,
    /// Progress reports kept per partition (approximately).
    pub pulse_length: u64,
    /// Hints that one tenant may have in the priority inboxes of one stage and lane. Where a worker has
    /// more slots, the widest one's number counts.
    pub window: u64,
    /// Jobs of one tenant that may be under way at once; 0: any number.
    pub tenant_limit: u64,
    /// Name of a quarantine worker, which takes only what was replayed to it; empty: an ordinary worker.
    pub quarantine: String,
}

impl Default for KernelOptions {
    fn default() -> Self {
        Self {
            lease_s: 10.0,
            beat_s: 2.5,
            retention_s: 604_800.0,
            log_length: 500,
            feed_length: 100_000,
            pulse_length: 10_000,
            window: 1,
            tenant_limit: 0,
            quarantine: String::new(),
        }
    }
}

impl KernelOptions {
    /// The lease in milliseconds, as the scripts take it.
    #[must_use]
    pub fn lease_ms(&self) -> u128 {
        seconds(self.lease_s).as_millis()
    }

    /// Interval of heartbeats.
    #[must_use]
    pub fn beat(&self) -> Duration {
        seconds(self.beat_s)
    }

    /// ARGV 1..6 of every verb (see `lua/parts/context.lua`).
    #[must_use]
    pub fn common_arguments(&self) -> [String; 6] {
        [
            self.feed_length.to_string(),
            self.pulse_length.to_string(),
            self.log_length.to_string(),
            seconds(self.retention_s).as_millis().to_string(),
            self.window.to_string(),
            self.tenant_limit.to_string(),
        ]
    }
}

/// Bounds of one actor.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct ActorOptions {
    /// `cpu` or `gpu`: whose work it takes.
    pub lane: String,
    /// Jobs at once.
    pub concurrency: usize,
    /// A job whose own progress stands still for so long is stopped and fails as stalled.
    pub stall_timeout_s: f64,
    /// How long a stopped handler may take to end; then its beats stop and the reaper decides.
    pub kill_grace_s: f64,
    /// How long a drain waits for running jobs before it gives them back.
    pub drain_grace_s: f64,
}

impl Default for ActorOptions {
    fn default() -> Self {
        Self {
            lane: "cpu".to_owned(),
            concurrency: 4,
            stall_timeout_s: 60.0,
            kill_grace_s: 5.0,
            drain_grace_s: 25.0,
        }
    }
}

/// A time from the settings; what is not a time counts as none.
#[must_use]
pub fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
