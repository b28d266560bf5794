//! `reelway-transcode`: the transcode actor, and the probe that the other actors call.

mod handler;
mod jail;
mod logging;
mod policy;
mod probe;
mod run;
mod settings;
mod storage;
mod version;

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "reelway-transcode", version, about)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the transcode actor; `reelway run transcode` starts it with its settings.
    Run,
    /// Say what a media file holds.
    Probe(probe::Probe),
    /// Say which version this is.
    Version(version::Version),
    /// Set limits and become another program.
    #[command(hide = true)]
    Jail(jail::Jail),
}

fn main() -> io::Result<ExitCode> {
    match Program::parse().command {
        Command::Run => run::execute(),
        Command::Version(options) => version::execute(&options),
        Command::Probe(options) => probe::execute(&options),
        Command::Jail(options) => Ok(jail::enter(&options)),
    }
}
