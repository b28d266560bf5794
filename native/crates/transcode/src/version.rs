//! `reelway-transcode version`: the version, and the digests of the compiled-in scripts.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Args;
use reelway_kernel::scripts::digests;
use serde_json::json;

/// How to say it.
#[derive(Args, Debug)]
pub(crate) struct Version {
    /// As JSON, with the digest of every script.
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(options: &Version) -> io::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    if options.json {
        let body = json!({"version": version, "scripts": digests()});
        writeln!(io::stdout(), "{body}")?;
    } else {
        writeln!(io::stdout(), "reelway-transcode {version}")?;
    }
    Ok(ExitCode::SUCCESS)
}
