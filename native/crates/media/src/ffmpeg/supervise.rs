//! Starting a process, reading what it says, and ending it with everything it started.

use std::{
    convert::Infallible,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, never, select};
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

use super::log::Log;
use crate::errors::Failure;

/// How long a process may take to end itself after SIGTERM.
const KILL_AFTER: Duration = Duration::from_secs(1);
/// With this status the launcher says that it could not start the program, as shells do.
pub const NOT_STARTED_STATUS: i32 = 127;
const LOG_TAIL_BYTES: usize = 64 * 1024;
const LONGEST_LINE_BYTES: u64 = 64 * 1024;

/// Told when work must end at once. Clones hear the same.
#[derive(Clone, Debug)]
pub struct Interruption(Receiver<Infallible>);

/// Interrupts when it is dropped.
#[derive(Debug)]
pub struct Interrupter {
    _held: Sender<Infallible>,
}

impl Interruption {
    /// A signal and the end that gives it.
    #[must_use]
    pub fn pair() -> (Interrupter, Self) {
        let (held, heard) = bounded(0);
        (Interrupter { _held: held }, Self(heard))
    }

    /// A signal that never comes.
    #[must_use]
    pub fn never() -> Self {
        Self(never())
    }

    /// Whether the signal has come.
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.0.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected)
    }
}

impl From<Receiver<Infallible>> for Interruption {
    fn from(heard: Receiver<Infallible>) -> Self {
        Self(heard)
    }
}

/// A process that ended by itself.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to stderr.
    pub log: Log,
}

/// A process that gave no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started or watched.
    #[error("the process cannot be run: {0}")]
    Process(#[from] io::Error),
    /// It was ended because the work was interrupted.
    #[error("interrupted")]
    Interrupted,
}

/// Runs a command to its end and gives each line of its stdout to `on_line`, on another thread.
///
/// The first `log_head_bytes` and the last 64 KiB of its stderr are kept. Both pipes are read all the
/// time, so the process never waits for this one. On interruption its group gets SIGTERM and after a
/// second SIGKILL; when this returns, no process of the group is left.
pub fn run(
    command: &mut Command,
    interruption: &Interruption,
    log_head_bytes: usize,
    on_line: &mut (dyn FnMut(&str) + Send),
) -> Result<Finished, RunError> {
    let mut child = command.spawn()?;
    let group = Pid::from_child(&child);
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let mut log = Log::new(log_head_bytes, LOG_TAIL_BYTES);

    let interrupted = thread::scope(|scope| {
        let (ended_sender, ended) = bounded(1);
        scope.spawn(move || {
            // NOWAIT leaves the process unreaped: its id cannot be given to another one as long as
            // signals may still be sent to it.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(group), options), Err(Errno::INTR)) {}
            let _ = ended_sender.send(());
        });
        if let Some(stdout) = stdout {
            scope.spawn(|| read_lines(stdout, on_line));
        }
        if let Some(stderr) = stderr {
            scope.spawn(|| read_log(stderr, &mut log));
        }
        let interrupted = select! {
            recv(ended) -> _ => false,
            recv(interruption.0) -> _ => true,
        };
        if interrupted {
            let _ = kill_process_group(group, Signal::TERM);
            if ended.recv_timeout(KILL_AFTER).is_err() {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = ended.recv();
            }
        }
        // Whatever it started would keep the pipes open, and the readers with them.
        let _ = kill_process_group(group, Signal::KILL);
        interrupted
    });
    let status = child.wait()?;
    if interrupted {
        return Err(RunError::Interrupted);
    }
    Ok(Finished { status, log })
}

fn read_lines(stdout: impl Read, on_line: &mut (dyn FnMut(&str) + Send)) {
    let mut reader = BufReader::with_capacity(64 * 1024, stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = Read::take(&mut reader, LONGEST_LINE_BYTES);
        match limited.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => on_line(String::from_utf8_lossy(&line).trim_end()),
        }
    }
}

fn read_log(mut stderr: impl Read, log: &mut Log) {
    let mut buffer = [0; 16 * 1024];
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => log.write(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

impl Finished {
    /// The failure, when how the program ended says nothing about the file: the launcher could not
    /// start it, or somebody else killed it.
    #[must_use]
    pub fn broken_off(&self) -> Option<Failure> {
        if self.status.code() == Some(NOT_STARTED_STATUS) {
            return Some(Failure::new("NATIVE_MISSING", self.log.text()));
        }
        let killed = self.status.signal() == Some(Signal::KILL.as_raw());
        let detail = "ffmpeg was killed by somebody else, as the kernel does for want of memory";
        killed.then(|| Failure::new("OUT_OF_MEMORY", detail))
    }
}
