//! One job in one worker: run the handler, watch it, end its lease exactly once.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, after, bounded, select};

use crate::{
    beats::Beats,
    control::{Control, Stop},
    ends::{Ending, Ends},
    handler::{BUG_CODE, Failure, FailurePolicy, Handler, Outcome, STALLED_CODE, Task, check_body},
    worker::{Commit, Fail, FailClass, Release},
};

/// The reason of a job that a stopping worker gives back.
pub(crate) const STOPPING: &[u8] =
    br#"{"code":"WORKER_STOPPING","message":"The worker was stopped; the step starts again elsewhere."}"#;
/// The reason of a job whose grant came so late that its place was taken.
pub(crate) const LATE_GRANT: &[u8] =
    br#"{"code":"WORKER_LOST","message":"The connection to the worker was lost; the step starts again."}"#;
const CANCELLING: &[u8] = br#"{"code":"CANCELLING","message":"The job is being cancelled."}"#;

/// Longest pause of the stall watchdog between two looks at its clock.
const LOOK: Duration = Duration::from_secs(1);

/// How long a handler may stand still, and may take to end once it was stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    pub(crate) stall_timeout: Duration,
    pub(crate) kill_grace: Duration,
}

/// What a job needs around it.
pub(crate) struct Execution {
    pub(crate) task: Arc<Task>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) policy: Arc<dyn FailurePolicy>,
    pub(crate) beats: Arc<Beats>,
    pub(crate) ends: Ends,
    pub(crate) watch: Watch,
    pub(crate) control: Control,
    pub(crate) stopped: Receiver<()>,
}

impl Execution {
    /// Runs to the end. An end that could not be sent is the reaper's to find.
    pub(crate) fn run(&self) {
        let started_at = Instant::now();
        let task = &self.task.grant;
        tracing::debug!(
            job = task.job,
            stage = task.stage,
            fence = task.fence,
            attempt = task.attempt,
            "stage.started"
        );
        let outcome = self.handled();
        let (how, answer) = self.end(outcome);
        self.beats.let_go(&self.task);
        let duration_s = (started_at.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        match answer {
            Some(Ok(end)) => {
                tracing::info!(
                    job = task.job,
                    stage = task.stage,
                    fence = task.fence,
                    how,
                    end = end.name(),
                    duration_s,
                    "stage.ended"
                );
            }
            Some(Err(error)) => {
                tracing::error!(
                    job = task.job,
                    stage = task.stage,
                    fence = task.fence,
                    how,
                    error = %error,
                    "stage.end_unsent"
                );
            }
            None => {
                tracing::info!(
                    job = task.job,
                    stage = task.stage,
                    fence = task.fence,
                    how,
                    duration_s,
                    "stage.ended"
                );
            }
        }
    }

    /// Runs the handler in a thread of its own, so that this one can watch it.
    fn handled(&self) -> Result<Outcome, Failure> {
        let (done_sender, done) = bounded(1);
        thread::scope(|scope| {
            scope.spawn(move || {
                let handled = catch_unwind(AssertUnwindSafe(|| self.handler.handle(&self.task)));
                let _ = done_sender.send(handled);
            });
            let handled = loop {
                let looked_at = Instant::now();
                let pause = (self.task.moved_at() + self.watch.stall_timeout)
                    .saturating_duration_since(looked_at)
                    .min(LOOK);
                select! {
                    recv(done) -> handled => break handled,
                    recv(self.stopped) -> _ => break self.stop(&done),
                    recv(after(pause)) -> _ => {
                        let overslept = looked_at.elapsed().saturating_sub(pause);
                        if overslept > LOOK {
                            // This process was stopped, or its machine was: the job had no chance to move.
                            self.task.forgive(overslept);
                        }
                        if self.task.moved_at().elapsed() >= self.watch.stall_timeout {
                            self.control.halt(Stop::Stalled);
                        }
                    }
                }
            };
            match handled {
                Ok(Ok(outcome)) => outcome.and_then(bounded_body),
                Ok(Err(panic)) => Err(Failure::Failed {
                    code: BUG_CODE.to_owned(),
                    detail: format!("the handler panicked: {}", words(panic.as_ref())),
                }),
                Err(_) => Err(Failure::Failed {
                    code: BUG_CODE.to_owned(),
                    detail: "the handler's thread is gone".to_owned(),
                }),
            }
        })
    }

    /// Interrupts the handler and waits for it. Past the grace its beats end and the reaper decides.
    fn stop<T>(&self, done: &Receiver<T>) -> Result<T, crossbeam_channel::RecvError> {
        self.task.interrupt();
        if let Ok(handled) = done.recv_timeout(self.watch.kill_grace) {
            return Ok(handled);
        }
        let (job, fence) = self.task.lease();
        tracing::error!(
            job,
            stage = self.task.grant.stage,
            fence,
            "stage.unstoppable"
        );
        self.beats.let_go(&self.task);
        done.recv()
    }

    fn end(
        &self,
        outcome: Result<Outcome, Failure>,
    ) -> (
        &'static str,
        Option<Result<crate::worker::End, redis::RedisError>>,
    ) {
        let (job, fence) = self.task.lease();
        let (job, fence) = (job.to_owned(), fence.to_owned());
        let release = |reason: &[u8]| {
            Ending::Release(Release {
                job: job.clone(),
                fence: fence.clone(),
                reason: reason.to_vec(),
            })
        };
        match (self.control.reason(), outcome) {
            // Somebody else has the job, or it has ended: there is nothing to say.
            (Some(Stop::Fenced), _) => ("fenced", None),
            (Some(Stop::Deadline), _) => ("deadline", None),
            (_, Ok(result)) => {
                let percent = Some(self.task.reported().percent);
                let commit = Commit {
                    job,
                    fence,
                    result,
                    percent,
                };
                ("commit", self.ends.end(Ending::Commit(commit)))
            }
            (Some(Stop::Cancel), Err(_)) | (None, Err(Failure::Unwanted)) => {
                ("cancel", self.ends.end(release(CANCELLING)))
            }
            (Some(Stop::GiveBack), Err(_)) => ("release", self.ends.end(release(STOPPING))),
            (Some(Stop::Stalled), Err(_)) => {
                let seconds = self.watch.stall_timeout.as_secs_f64();
                (
                    "fail",
                    self.fail(STALLED_CODE, &format!("nothing moved for {seconds} s")),
                )
            }
            (None, Err(Failure::Failed { code, detail })) => ("fail", self.fail(&code, &detail)),
            (None, Err(Failure::Interrupted)) => (
                "fail",
                self.fail(BUG_CODE, "interrupted, but not by the kernel"),
            ),
        }
    }

    fn fail(
        &self,
        code: &str,
        detail: &str,
    ) -> Option<Result<crate::worker::End, redis::RedisError>> {
        let grant = &self.task.grant;
        let decided = self.policy.decide(grant.attempt, code);
        let (job, stage, fence) = (&grant.job, &grant.stage, &grant.fence);
        let class = decided.class.name();
        if code == BUG_CODE {
            tracing::error!(
                job,
                stage,
                fence,
                cls = class,
                code = decided.code,
                detail,
                "stage.bug"
            );
        } else if decided.class == FailClass::Permanent {
            // Mostly what a client asked for; nothing for the operator to do.
            tracing::info!(
                job,
                stage,
                fence,
                cls = class,
                code = decided.code,
                detail,
                "stage.refused"
            );
        } else {
            tracing::warn!(
                job,
                stage,
                fence,
                cls = class,
                code = decided.code,
                detail,
                "stage.failed"
            );
        }
        self.ends.end(Ending::Fail(Fail {
            job: job.clone(),
            fence: fence.clone(),
            class: decided.class,
            delay_ms: decided.delay_ms,
            budget: decided.budget,
            error: decided.error,
            reason: decided.reason,
        }))
    }
}

/// Refuses an outcome that Redis is not to carry.
fn bounded_body(outcome: Outcome) -> Result<Outcome, Failure> {
    let body = match &outcome {
        Outcome::Next { input, .. } | Outcome::Split { input, .. } => input,
        Outcome::Done { result, .. } => result,
    };
    check_body(body)?;
    Ok(outcome)
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}
