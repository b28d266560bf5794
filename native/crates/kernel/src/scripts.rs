//! The Lua verbs, compiled in, and how they are called.

use std::{collections::BTreeMap, sync::LazyLock};

use redis::{ConnectionLike, RedisResult, Value};
use sha1::{Digest, Sha1};

use crate::{keys::Keys, options::KernelOptions};

/// A verb of the worker.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    missing_docs,
    reason = "the verbs of the kernel, explained in their Lua files"
)]
pub enum Verb {
    Take,
    Beat,
    Commit,
    Fail,
    Release,
}

impl Verb {
    /// Every verb that is compiled in.
    pub const ALL: [Self; 5] = [
        Self::Take,
        Self::Beat,
        Self::Commit,
        Self::Fail,
        Self::Release,
    ];

    /// The verb's name, which is its file's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Beat => "beat",
            Self::Commit => "commit",
            Self::Fail => "fail",
            Self::Release => "release",
        }
    }

    /// The assembled text.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Take => include_str!(concat!(env!("OUT_DIR"), "/take.lua")),
            Self::Beat => include_str!(concat!(env!("OUT_DIR"), "/beat.lua")),
            Self::Commit => include_str!(concat!(env!("OUT_DIR"), "/commit.lua")),
            Self::Fail => include_str!(concat!(env!("OUT_DIR"), "/fail.lua")),
            Self::Release => include_str!(concat!(env!("OUT_DIR"), "/release.lua")),
        }
    }

    /// SHA-1 of the text in hexadecimal: the name under which Redis keeps it.
    #[must_use]
    pub fn digest(self) -> &'static str {
        &DIGESTS[self.name()]
    }
}

static DIGESTS: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
    Verb::ALL
        .into_iter()
        .map(|verb| (verb.name(), hexadecimal(&Sha1::digest(verb.text()))))
        .collect()
});

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Verb to digest, for comparing two builds.
#[must_use]
pub fn digests() -> &'static BTreeMap<&'static str, String> {
    &DIGESTS
}

/// One call of a verb. `extra` are the keys after the eight declared ones, `arguments` those after the
/// four common ones.
#[derive(Debug)]
pub struct Call<'a> {
    /// The verb.
    pub verb: Verb,
    /// Keys of the partition.
    pub keys: &'a Keys,
    /// KEYS from the ninth on.
    pub extra: Vec<String>,
    /// ARGV from the fifth on.
    pub arguments: Vec<Vec<u8>>,
}

impl Call<'_> {
    /// Sends the call once; where Redis has lost the script, with its text.
    pub fn send(
        &self,
        connection: &mut dyn ConnectionLike,
        options: &KernelOptions,
    ) -> RedisResult<Value> {
        let mut command = self.command("EVALSHA", self.verb.digest(), options);
        match command.query(connection) {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                command = self.command("EVAL", self.verb.text(), options);
                command.query(connection)
            }
            reply => reply,
        }
    }

    fn command(&self, name: &str, script: &str, options: &KernelOptions) -> redis::Cmd {
        let declared = self.keys.declared();
        let mut command = redis::cmd(name);
        command
            .arg(script)
            .arg(declared.len() + self.extra.len())
            .arg(&declared)
            .arg(&self.extra)
            .arg(&options.common_arguments())
            .arg(&self.arguments);
        command
    }
}
