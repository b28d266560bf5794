//! What the `reelway` command hands over: the resolved settings as JSON in one variable.

use std::{env, path::PathBuf};

use reelway_kernel::options::{ActorOptions, KernelOptions, RedisOptions};
use serde::Deserialize;

const VARIABLE: &str = "REELWAY_NATIVE_SETTINGS";

/// The settings of the transcode actor. Fields that it does not know are ignored.
#[derive(Deserialize)]
pub(crate) struct Settings {
    pub(crate) redis: RedisOptions,
    pub(crate) partitions: u32,
    #[serde(default)]
    pub(crate) kernel: KernelOptions,
    pub(crate) storage: Storage,
    /// The ffmpeg program.
    pub(crate) ffmpeg: PathBuf,
    #[serde(default)]
    pub(crate) actor: ActorOptions,
    /// Errors that a job may have at this stage.
    pub(crate) budget: u32,
    #[serde(default = "info")]
    pub(crate) log_level: String,
}

/// Where files lie.
#[derive(Deserialize)]
pub(crate) struct Storage {
    /// The directory of a `file://` storage.
    pub(crate) root: PathBuf,
    /// What must be free when a stage begins.
    #[serde(default)]
    pub(crate) min_free_bytes: u64,
}

fn info() -> String {
    "info".to_owned()
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("{VARIABLE} is not set: start this actor with `reelway run transcode`.")]
    Absent,
    #[error("{VARIABLE} cannot be read: {0}.")]
    Syntax(#[from] serde_json::Error),
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self, Invalid> {
        let text = env::var(VARIABLE).map_err(|_| Invalid::Absent)?;
        Ok(serde_json::from_str(&text)?)
    }
}
