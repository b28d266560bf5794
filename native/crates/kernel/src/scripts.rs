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
    Spawn,
}

impl Verb {
    /// Every verb that is compiled in.
    pub const ALL: [Self; 6] = [
        Self::Take,
        Self::Beat,
        Self::Commit,
        Self::Fail,
        Self::Release,
        Self::Spawn,
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
            Self::Spawn => "spawn",
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
            Self::Spawn => include_str!(concat!(env!("OUT_DIR"), "/spawn.lua")),
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
/// six common ones.
#[derive(Debug)]
pub struct Call<'a> {
    /// The verb.
    pub verb: Verb,
    /// Keys of the partition.
    pub keys: &'a Keys,
    /// KEYS from the ninth on.
    pub extra: Vec<String>,
    /// ARGV from the seventh on.
    pub arguments: Vec<Vec<u8>>,
}

impl Call<'_> {
    /// Sends the call once; where Redis has lost the script, with its text.
    pub fn send(
        &self,
        connection: &mut dyn ConnectionLike,
        options: &KernelOptions,
    ) -> RedisResult<Value> {
        evaluate(
            connection,
            self.verb.digest(),
            self.verb.text(),
            |command| {
                let declared = self.keys.declared();
                command
                    .arg(declared.len() + self.extra.len())
                    .arg(&declared)
                    .arg(&self.extra)
                    .arg(&options.common_arguments())
                    .arg(&self.arguments);
            },
        )
    }
}

/// A script of the whole installation, `lua/sys/*.lua`.
#[derive(Clone, Copy)]
pub(crate) enum SystemVerb {
    Announce,
    Withdraw,
}

impl SystemVerb {
    fn text(self) -> &'static str {
        match self {
            Self::Announce => include_str!(concat!(env!("OUT_DIR"), "/announce.lua")),
            Self::Withdraw => include_str!(concat!(env!("OUT_DIR"), "/withdraw.lua")),
        }
    }

    /// Sends it once; where Redis has lost the script, with its text.
    pub(crate) fn call(
        self,
        connection: &mut dyn ConnectionLike,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> RedisResult<Value> {
        let text = self.text();
        let digest = hexadecimal(&Sha1::digest(text));
        evaluate(connection, &digest, text, |command| {
            command.arg(keys.len()).arg(keys).arg(arguments);
        })
    }
}

fn evaluate(
    connection: &mut dyn ConnectionLike,
    digest: &str,
    text: &str,
    complete: impl Fn(&mut redis::Cmd),
) -> RedisResult<Value> {
    let send = |connection: &mut dyn ConnectionLike, name: &str, script: &str| {
        let mut command = redis::cmd(name);
        command.arg(script);
        complete(&mut command);
        command.query(connection)
    };
    match send(connection, "EVALSHA", digest) {
        Err(error) if error.code() == Some("NOSCRIPT") => send(connection, "EVAL", text),
        reply => reply,
    }
}
