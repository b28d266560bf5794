//! `reelway-transcode probe FILE`: what a file holds, as JSON on stdout.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use reelway_media::{
    errors::Failure,
    ffmpeg::{Ffmpeg, Interruption},
    probe::probe,
};
use serde_json::json;

/// Exit status when the file cannot be used; stdout says why.
const FAILED_STATUS: u8 = 3;

/// Names the ffmpeg to use; without it, `ffmpeg` is searched on PATH.
const PROGRAM_VARIABLE: &str = "REELWAY_FFMPEG";

/// What to probe.
#[derive(Args, Debug)]
pub(crate) struct Probe {
    /// The file.
    file: PathBuf,
}

pub(crate) fn execute(options: &Probe) -> io::Result<ExitCode> {
    let program = env::var_os(PROGRAM_VARIABLE)
        .filter(|program| !program.is_empty())
        .unwrap_or_else(|| "ffmpeg".into());
    let ffmpeg = Ffmpeg::new(program.into(), env::current_exe()?);
    let (body, status) = match probe(&ffmpeg, &options.file, &Interruption::never()) {
        Ok(probe) => (serde_json::to_string(&probe)?, ExitCode::SUCCESS),
        Err(Failure::Error(error)) => (
            json!({"code": error.code, "detail": error.detail}).to_string(),
            ExitCode::from(FAILED_STATUS),
        ),
        Err(Failure::Interrupted) => (
            json!({"code": "CANCELLED", "detail": "interrupted"}).to_string(),
            ExitCode::from(FAILED_STATUS),
        ),
    };
    writeln!(io::stdout(), "{body}")?;
    Ok(status)
}
