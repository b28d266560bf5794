//! `reelway-transcode run`: the actor.

use std::{env, io, process::ExitCode, sync::Arc, thread};

use crossbeam_channel::{Receiver, unbounded};
use reelway_kernel::{
    actor::{self, Setup},
    installation::{self, Unfit},
    keys::Partitions,
};
use reelway_media::{errors::ErrorTable, ffmpeg::Ffmpeg};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{handler::Transcode, logging, policy::TablePolicy, settings::Settings};

/// Exit status for settings that cannot be used, as of the `reelway` command.
const USAGE_STATUS: u8 = 2;

pub(crate) fn execute() -> io::Result<ExitCode> {
    // First of all: a signal that comes early must not be lost.
    let signals = signals()?;
    let settings = match Settings::from_environment() {
        Ok(settings) => settings,
        Err(error) => return Ok(refuse(&error)),
    };
    logging::configure(&settings.log_level, "transcode");
    let partitions = Partitions::new(settings.partitions);
    match installation::check(&settings.redis, &partitions, &signals) {
        Ok(()) => {}
        Err(Unfit::Stopped) => return Ok(ExitCode::SUCCESS),
        Err(error) => return Ok(refuse(&error)),
    }
    // Read now: a table that cannot be read must not show in the middle of a job.
    let _ = ErrorTable::built_in();
    let setup = Setup {
        redis: settings.redis,
        partitions,
        kernel: settings.kernel,
        actor: settings.actor,
        handler: Arc::new(Transcode {
            ffmpeg: Ffmpeg::new(settings.ffmpeg, env::current_exe()?),
            root: settings.storage.root,
            min_free_bytes: settings.storage.min_free_bytes,
        }),
        policy: Arc::new(TablePolicy::new(settings.budget)),
    };
    actor::run(setup, &signals)?;
    tracing::info!("run.stopped");
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM and SIGINT as messages.
fn signals() -> io::Result<Receiver<()>> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let (sender, receiver) = unbounded();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in &mut signals {
                if sender.send(()).is_err() {
                    return;
                }
            }
        })?;
    Ok(receiver)
}

fn refuse(error: &dyn std::error::Error) -> ExitCode {
    use io::Write;

    let _ = writeln!(io::stderr(), "{error}");
    ExitCode::from(USAGE_STATUS)
}
