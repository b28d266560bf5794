//! `reelway-transcode`: the transcode actor, and the probe that the other actors call.

mod jail;
mod probe;

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
    /// Say what a media file holds.
    Probe(probe::Probe),
    /// Set limits and become another program.
    #[command(hide = true)]
    Jail(jail::Jail),
}

fn main() -> io::Result<ExitCode> {
    match Program::parse().command {
        Command::Probe(options) => probe::execute(&options),
        Command::Jail(options) => Ok(jail::enter(&options)),
    }
}
