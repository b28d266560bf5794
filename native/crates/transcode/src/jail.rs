//! `reelway-transcode jail`: sets limits on itself and becomes the program it was given.
//!
//! Doing this in a process of its own keeps the actor free of code between fork and exec, and any
//! language can use it.

use std::{
    ffi::OsString,
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use clap::Args;
use reelway_media::ffmpeg::NOT_STARTED_STATUS;
use rustix::process::{
    Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};

const OPEN_FILES: u64 = 256;

/// What the program may do.
#[derive(Args, Debug)]
pub(crate) struct Jail {
    /// Id of the process that starts it; the program ends when that process does.
    #[arg(long)]
    parent: i32,
    /// Largest file that it may write.
    #[arg(long)]
    file_bytes: u64,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Does not return unless something failed.
pub(crate) fn enter(jail: &Jail) -> ExitCode {
    let error = match confine(jail) {
        Ok(()) => Command::new(&jail.command[0])
            .args(&jail.command[1..])
            .exec(),
        Err(error) => error,
    };
    let name = jail.command[0].to_string_lossy();
    let _ = writeln!(io::stderr(), "[fatal] {name} cannot be started: {error}");
    ExitCode::from(u8::try_from(NOT_STARTED_STATUS).unwrap_or(u8::MAX))
}

fn confine(jail: &Jail) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before the signal was asked for.
    if getppid().map(|parent| parent.as_raw_nonzero().get()) != Some(jail.parent) {
        return Err(io::Error::other("the process that asked for it has ended"));
    }
    limit(Resource::Fsize, jail.file_bytes)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, OPEN_FILES)
}

/// Lowers a limit, never raises it.
fn limit(resource: Resource, wanted: u64) -> io::Result<()> {
    let maximum = getrlimit(resource).maximum;
    let value = Some(maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    let new = Rlimit {
        current: value,
        maximum: value,
    };
    Ok(setrlimit(resource, new)?)
}
