//! The transcode stage: a fetched file and a plan come in, a verified file goes out to `store`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reelway_kernel::handler::{Failure, Handler, Outcome, Task};
use reelway_media::{
    errors::{self, MediaError, file_failure},
    ffmpeg::{Ffmpeg, Interruption},
    task::{Output, PlanPath, Progress, Spans, StoreInput, TranscodeInput},
    transcode::{Made, Observation, Work, known_bytes, transcode},
};

use crate::storage::{free_bytes, local_path, work_folder};

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
    /// What must be free when the stage begins. Work that has begun may use it: that is what it is for.
    pub(crate) min_free_bytes: u64,
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
        self.check_room(&input)?;

        let reporter = Reporter::new(task, &input.spans);
        let made = self
            .make(task, &input, (&source, &directory), &reporter)
            .map_err(|failure| {
                // Nothing names it, and a full disk would stay full with it.
                let _ = fs::remove_dir_all(&directory);
                match failure {
                    errors::Failure::Error(MediaError { code, detail }) => failed(&code, detail),
                    errors::Failure::Interrupted => Failure::Interrupted,
                }
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

impl Transcode {
    /// Refuses to begin where too little is free. What is only linked takes no room.
    fn check_room(&self, input: &TranscodeInput) -> Result<(), Failure> {
        if input.plan.path == PlanPath::Passthrough {
            return Ok(());
        }
        let free = free_bytes(&self.root)
            .map_err(|error| failed("STORE_TEMP", format!("the free space: {error}")))?;
        let known = known_bytes(&input.plan, input.source.size_bytes);
        let wanted = self.min_free_bytes.saturating_add(known);
        if free >= wanted {
            return Ok(());
        }
        Err(failed(
            "DISK_FULL",
            format!("{free} bytes are free, {wanted} must be"),
        ))
    }

    /// Does the work in the folder of this execution alone.
    fn make(
        &self,
        task: &Task,
        input: &TranscodeInput,
        (source, directory): (&Path, &Path),
        reporter: &Reporter<'_>,
    ) -> Result<Made, errors::Failure> {
        fs::create_dir_all(directory)
            .map_err(|error| file_failure("making the work folder", &error))?;
        transcode(&Work {
            ffmpeg: &self.ffmpeg,
            input,
            source,
            directory,
            interruption: &Interruption::from(task.interruption()),
            observe: &|seen| reporter.observe(&seen),
        })
    }
}

fn failed(code: &str, detail: String) -> Failure {
    Failure::Failed {
        code: code.to_owned(),
        detail,
    }
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
