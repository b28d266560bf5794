//! What a stage is to its author: a task comes in, one of a closed set of outcomes goes out.
//!
//! A handler never talks to Redis. A panic is a bug of the stage and is reported as one.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};

pub use crate::worker::{Child, ChildRow, FailClass, Grant, OnChildFailure, Outcome};
use crate::{
    beats::Beats,
    family::{Family, Parent},
};

/// The code of a failure that nobody foresaw.
pub const BUG_CODE: &str = "INTERNAL";
/// The code of a stage that stopped moving.
pub const STALLED_CODE: &str = "STALLED";
/// The code of a stage that finds Redis full.
pub const FULL_CODE: &str = "STORE_FULL";

/// Longest body (spec, input, result). Scripts carry bodies and never look into them.
pub const BODY_LIMIT_BYTES: usize = 65_536;

/// Refuses a body that is too long: a bug of the stage.
pub(crate) fn check_body(body: &[u8]) -> Result<(), Failure> {
    if body.len() > BODY_LIMIT_BYTES {
        return Err(Failure::Failed {
            code: BUG_CODE.to_owned(),
            detail: format!(
                "a body of {} bytes; at most {BODY_LIMIT_BYTES} are kept",
                body.len()
            ),
        });
    }
    Ok(())
}

/// Why a handler has no outcome.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// It failed, with a code of the error table. `detail` is for the log and never shown to a user.
    Failed {
        /// A code of the table.
        code: String,
        /// What happened.
        detail: String,
    },
    /// It ended because it was interrupted.
    Interrupted,
    /// Its job is not wanted any more, as Redis told it.
    Unwanted,
}

/// What follows from a failure: the arguments of `fail`.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What the kernel does.
    pub class: FailClass,
    /// The code that the user reads.
    pub code: String,
    /// The pause before the next attempt.
    pub delay_ms: u64,
    /// Errors that the stage may have in all.
    pub budget: u32,
    /// JSON object for the user.
    pub error: Vec<u8>,
    /// JSON object for the user.
    pub reason: Vec<u8>,
}

/// Reads the error table.
pub trait FailurePolicy: Send + Sync {
    /// `attempt` counts the errors of the stage before this one.
    fn decide(&self, attempt: u32, code: &str) -> Decision;
}

/// The work of one stage.
pub trait Handler: Send + Sync {
    /// The stage.
    fn stage(&self) -> &str;

    /// Does the stage. When the task is interrupted it must end its children and return.
    fn handle(&self, task: &Task) -> Result<Outcome, Failure>;
}

/// How far a task has come.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// High-water mark of the whole job, 0 to 100.
    pub(crate) percent: f64,
    /// JSON object.
    pub(crate) progress: Vec<u8>,
    /// When the job's own progress last moved; the stall watchdog reads it.
    pub(crate) moved_at: Instant,
}

/// One grant, as its handler sees it.
pub struct Task {
    /// What was granted.
    pub grant: Grant,
    /// Written by the handler through `report`, read by the beats and the watchdog.
    report: Mutex<Report>,
    /// Dropped when the work must end. Taken once, by the execution.
    interrupter: Mutex<Option<Sender<Infallible>>>,
    interruption: Receiver<Infallible>,
    beats: Arc<Beats>,
    family: Arc<Family>,
}

impl fmt::Debug for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Task({} {})", self.grant.job, self.grant.fence)
    }
}

impl Task {
    pub(crate) fn new(grant: Grant, beats: Arc<Beats>, family: Arc<Family>) -> Self {
        let (interrupter, interruption) = bounded(0);
        Self {
            report: Mutex::new(Report {
                percent: grant.percent,
                progress: b"{}".to_vec(),
                moved_at: Instant::now(),
            }),
            grant,
            interrupter: Mutex::new(Some(interrupter)),
            interruption,
            beats,
            family,
        }
    }

    /// Closed when the work is no longer wanted: cancel, deadline, a lost fence, a stall, the end of
    /// the process.
    #[must_use]
    pub fn interruption(&self) -> Receiver<Infallible> {
        self.interruption.clone()
    }

    /// Creates children, which begin at once; the stage then ends with [`Outcome::Split`]. Repeat-safe by
    /// their numbers. Fails with [`FULL_CODE`] when Redis is full, and as unwanted when the job is.
    pub fn spawn(
        &self,
        children: &[Child],
        on_child_failure: OnChildFailure,
    ) -> Result<(), Failure> {
        self.family
            .spawn(&self.parent(), children, on_child_failure)
    }

    /// How the children numbered from `first` on stand, in order.
    pub fn children(&self, first: u32, count: u32) -> Result<Vec<ChildRow>, Failure> {
        self.family.children(&self.parent(), first, count)
    }

    fn parent(&self) -> Parent<'_> {
        Parent {
            grant: &self.grant,
            interruption: &self.interruption,
        }
    }

    /// Reports overall percent and a JSON object, at any rate. Without `moved` it does not calm the
    /// stall watchdog.
    pub fn report(&self, percent: Option<f64>, progress: Vec<u8>, moved: bool) {
        {
            let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(percent) = percent {
                report.percent = report.percent.max(percent.min(100.0));
            }
            report.progress = progress;
            if moved {
                report.moved_at = Instant::now();
            }
        }
        self.beats.report(self);
    }

    /// Something happened that no number shows.
    pub fn moved(&self) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.moved_at = Instant::now();
    }

    pub(crate) fn reported(&self) -> Report {
        self.report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn moved_at(&self) -> Instant {
        self.report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .moved_at
    }

    /// Time in which nothing could move does not count for the stall watchdog.
    pub(crate) fn forgive(&self, stood_still: Duration) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.moved_at = (report.moved_at + stood_still).min(Instant::now());
    }

    pub(crate) fn interrupt(&self) {
        self.interrupter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Names the lease.
    pub(crate) fn lease(&self) -> (&str, &str) {
        (&self.grant.job, &self.grant.fence)
    }
}
