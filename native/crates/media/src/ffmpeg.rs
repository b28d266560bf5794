//! One supervised ffmpeg process.
//!
//! The calling thread starts ffmpeg and stays until it has ended, so the parent-death signal that the
//! launcher asks for cannot fire early: it follows the thread that started a process.

mod log;
mod progress;
mod supervise;

use std::{
    ffi::OsString,
    path::{self, Path, PathBuf},
    process::{Command, Stdio},
};

pub use log::Log;
pub use progress::{Advance, ProgressParser};
pub use supervise::{Finished, Interrupter, Interruption, NOT_STARTED_STATUS, RunError, run};

/// Demuxers that may open a source. Playlists, scripts and image sequences are not among them: they
/// make ffmpeg open other files.
pub const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mp3,wav,w64,rf64,flac,ogg,mpegts,mpeg,avi,flv,aac,\
     ac3,eac3,dts,asf,aiff,au,caf,amr,ape,wv,tta,mxf,nut,ivf,m4v,h264,hevc,dv,rm,gif,mpc,mpc8,tak,dsf,obu";

/// Protocols for sources and results.
pub const PROTOCOLS: &str = "file";

/// Where ffmpeg is and how it is started.
#[derive(Clone, Debug)]
pub struct Ffmpeg {
    /// The program.
    program: PathBuf,
    /// The program that sets limits and then becomes ffmpeg: this crate's own binary.
    launcher: PathBuf,
}

/// What one ffmpeg process may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Size of a file that it may write.
    pub file_bytes: u64,
}

impl Ffmpeg {
    /// ffmpeg at `program`, started by `launcher jail`.
    #[must_use]
    pub fn new(program: PathBuf, launcher: PathBuf) -> Self {
        Self { program, launcher }
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A command for ffmpeg in `directory`: no terminal, a process group of its own, an empty
    /// environment but for what the loader needs.
    #[must_use]
    pub fn command(&self, directory: &Path, limits: Limits, arguments: &[OsString]) -> Command {
        use std::os::unix::process::CommandExt;

        let mut command = Command::new(&self.launcher);
        command
            .arg("jail")
            .arg(format!("--parent={}", std::process::id()))
            .arg(format!("--file-bytes={}", limits.file_bytes))
            .arg("--")
            .arg(&self.program)
            .args(["-nostdin", "-hide_banner", "-nostats"])
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for name in ["PATH", "LD_LIBRARY_PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}

/// The arguments that open a source safely: formats and protocols from the lists above, and `file:`
/// before the name, so that nothing in the name is read as a protocol.
#[must_use]
pub fn input(path: &Path) -> Vec<OsString> {
    let mut file = OsString::from("file:");
    file.push(path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    vec![
        "-protocol_whitelist".into(),
        PROTOCOLS.into(),
        "-format_whitelist".into(),
        FORMATS.into(),
        "-i".into(),
        file,
    ]
}
