//! The transcode stage: a fetched file and a plan come in, a verified file goes out to `store`.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reelway_kernel::handler::{Failure, Handler, Outcome, Task};
use reelway_media::{
    errors::{self, MediaError},
    ffmpeg::{Ffmpeg, Interruption},
    task::{Output, Progress, Spans, StoreInput, TranscodeInput},
    transcode::{Observation, Work, transcode},
};

use crate::storage::{local_path, work_folder};

const STAGE: &str = "transcode";
const NEXT_STAGE: &str = "store";
/// Speeds of the first moments say nothing about the rest.
const ETA_AFTER: Duration = Duration::from_secs(3);
/// Progress is put together at most this often.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// The handler of the stage.
pub(crate) struct Transcode {
    pub(crate) ffmpeg: Ffmpeg,
    pub(crate) root: PathBuf,
}

impl Handler for Transcode {
    fn stage(&self) -> &'static str {
        STAGE
    }

    fn handle(&self, task: &Task) -> Result<Outcome, Failure> {
        let input: TranscodeInput = serde_json::from_slice(&task.grant.input)
            .map_err(|error| failed("UNREADABLE", format!("input: {error}")))?;
        let path = |key: &str| {
            local_path(&self.root, key).map_err(|error| failed("UNREADABLE", error.to_string()))
        };
        let source = path(&input.source.path)?;
        let folder = work_folder(&task.grant.job, &task.grant.fence);
        let directory = path(&folder)?;
        fs::create_dir_all(&directory).map_err(|error| storage_failed(&error))?;

        let reporter = Reporter::new(task, &input.spans);
        let made = transcode(&Work {
            ffmpeg: &self.ffmpeg,
            input: &input,
            source: &source,
            directory: &directory,
            interruption: &Interruption::from(task.interruption()),
            observe: &|seen| reporter.observe(&seen),
        })
        .map_err(|failure| match failure {
            errors::Failure::Error(MediaError { code, detail }) => Failure::Failed { code, detail },
            errors::Failure::Interrupted => Failure::Interrupted,
        })?;

        let name = format!("output.{}", input.plan.extension);
        let output = Output {
            path: format!("{folder}/{name}"),
            name,
            mime: input.plan.mime,
            size_bytes: made.size_bytes,
            sha256: made.sha256,
            duration_s: Some(made.verified.duration_s),
            codecs: made.verified.codecs,
            width: made.verified.width,
            height: made.verified.height,
        };
        reporter.finished(output.size_bytes);
        let refs = vec![output.path.clone()];
        let next = StoreInput {
            outputs: vec![output],
            source_name: Some(input.source.name),
            spans: input.spans,
        };
        Ok(Outcome::Next {
            stage: NEXT_STAGE.to_owned(),
            lane: "cpu".to_owned(),
            rescue: false,
            input: serde_json::to_vec(&next)
                .map_err(|error| failed("INTERNAL", error.to_string()))?,
            refs,
        })
    }
}

fn failed(code: &str, detail: String) -> Failure {
    Failure::Failed {
        code: code.to_owned(),
        detail,
    }
}

fn storage_failed(error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "DISK_FULL",
        _ => "STORE_TEMP",
    };
    failed(code, format!("the work folder: {error}"))
}

/// Turns observations of the work into progress of the job.
struct Reporter<'a> {
    task: &'a Task,
    /// Part of the job's percent that this stage covers.
    span: (f64, f64),
    started_at: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is known, put together from several observations.
    known: Observation,
    reported_at: Option<Instant>,
}

impl<'a> Reporter<'a> {
    fn new(task: &'a Task, spans: &Spans) -> Self {
        let here = task.grant.percent;
        Self {
            task,
            span: spans.get(STAGE).copied().unwrap_or((here, here)),
            started_at: Instant::now(),
            state: Mutex::default(),
        }
    }

    fn observe(&self, seen: &Observation) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut state.known;
        known.fraction = seen.fraction.map_or(known.fraction, |part| {
            Some(known.fraction.unwrap_or(0.0).max(part))
        });
        known.speed = seen.speed.or(known.speed);
        known.left_s = seen.left_s.or(known.left_s);
        known.bytes = seen.bytes.or(known.bytes);
        if seen.moved {
            self.task.moved();
        }
        let told = seen.fraction.is_some() || seen.bytes.is_some();
        if told
            && state
                .reported_at
                .is_none_or(|at| at.elapsed() >= REPORT_EVERY)
        {
            state.reported_at = Some(Instant::now());
            self.report(&state.known);
        }
    }

    fn finished(&self, size_bytes: u64) {
        self.report(&Observation {
            fraction: Some(1.0),
            bytes: Some(size_bytes),
            ..Observation::default()
        });
    }

    fn report(&self, known: &Observation) {
        let percent = known
            .fraction
            .map(|part| self.span.0 + (self.span.1 - self.span.0) * part.clamp(0.0, 1.0));
        let settled = self.started_at.elapsed() >= ETA_AFTER;
        let eta_s = known
            .left_s
            .zip(known.speed)
            .filter(|_| settled)
            .map(|(left_s, speed)| (left_s / speed * 10.0).round() / 10.0);
        let progress = Progress {
            stage: STAGE.to_owned(),
            eta_s,
            speed: known.speed,
            bytes_done: known.bytes,
            bytes_total: None,
        };
        if let Ok(progress) = serde_json::to_vec(&progress) {
            self.task.report(percent, progress, false);
        }
    }
}
