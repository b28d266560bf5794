//! What travels in the worker's verbs, and what is answered.

/// How a commit, fail or release stands. On anything but `Ok` and `Late` a worker stops and deletes
/// nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// It is done.
    Ok,
    /// Accepted after a reap, because nobody had taken the job again.
    Late,
    /// This very end is recorded.
    Already,
    /// The cancel flag won.
    Cancelled,
    /// A newer fence, or a terminal state.
    Fenced,
    /// No such job.
    Gone,
    /// The script failed on this item and on no other; Redis's log says why. The lease will run out.
    Error,
}

impl End {
    /// The kernel's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Late => "LATE",
            Self::Already => "ALREADY",
            Self::Cancelled => "CANCELLED",
            Self::Fenced => "FENCED",
            Self::Gone => "GONE",
            Self::Error => "ERROR",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [
            Self::Ok,
            Self::Late,
            Self::Already,
            Self::Cancelled,
            Self::Fenced,
            Self::Gone,
            Self::Error,
        ]
        .into_iter()
        .find(|end| end.name() == name)
    }
}

/// How a beat stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pulse {
    /// The lease is renewed.
    Ok,
    /// Somebody cancelled the job: stop and report.
    Cancel,
    /// The job has expired.
    Deadline,
    /// The lease is lost.
    Fenced,
    /// The script failed on this item and on no other; Redis's log says why.
    Error,
}

impl Pulse {
    /// The kernel's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancel => "CANCEL",
            Self::Deadline => "DEADLINE",
            Self::Fenced => "FENCED",
            Self::Error => "ERROR",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [
            Self::Ok,
            Self::Cancel,
            Self::Deadline,
            Self::Fenced,
            Self::Error,
        ]
        .into_iter()
        .find(|pulse| pulse.name() == name)
    }
}

/// The right to work on one stage of one job, until the lease ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Id of the job.
    pub job: String,
    /// `<takes>.<nonce>`; part of every path that the stage writes.
    pub fence: String,
    /// The stage.
    pub stage: String,
    /// Whose job it is.
    pub tenant: String,
    /// `media`, or `delivery`.
    pub kind: String,
    /// Errors of the handler in this stage so far.
    pub attempt: u32,
    /// Leases of this stage lost so far.
    pub crashes: u32,
    /// When the job expires, server time.
    pub deadline_ms: u64,
    /// `cpu` or `gpu`.
    pub lane: String,
    /// `high`, `normal` or `low`.
    pub priority: String,
    /// High-water mark of the whole job.
    pub percent: f64,
    /// Id of the job that this one is a child of, or empty.
    pub parent: String,
    /// Highest number of its children.
    pub children: u32,
    /// What the client asked for, JSON.
    pub spec: Vec<u8>,
    /// What the stage before handed over, JSON.
    pub input: Vec<u8>,
    /// Paths that the job still needs.
    pub refs: Vec<String>,
}

/// What one `take` asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Consumer name: unique for the life of one process, never used again.
    pub worker: String,
    /// New for every call; the same when a call is repeated.
    pub nonce: String,
    /// Keys of the inboxes, in the order to read them.
    pub inboxes: Vec<String>,
    /// Jobs, at most; with 0 it only finds what an earlier call of this nonce was granted.
    pub want: usize,
    /// Jobs that the worker holds now.
    pub holding: usize,
}

/// The answer of one `take`.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// What was granted.
    pub grants: Vec<Grant>,
    /// Inbox and the last id that its group has delivered, when nothing was granted: where the
    /// doorbell listens.
    pub bells: Vec<(String, String)>,
    /// Stages that were asked for and are paused.
    pub paused: Vec<String>,
    /// A job waits that must run alone: take nothing until this worker holds nothing.
    pub clear: bool,
}

/// One lease to renew; `percent` only when something moved.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as in Grant")]
pub struct Beat {
    pub job: String,
    pub fence: String,
    pub percent: Option<f64>,
    /// JSON object.
    pub progress: Vec<u8>,
}

/// What follows from a result.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Another stage.
    Next {
        /// The stage.
        stage: String,
        /// Its lane.
        lane: String,
        /// Whether the job may leave the gpu lane when no gpu worker is left.
        rescue: bool,
        /// Its input, JSON.
        input: Vec<u8>,
        /// All the paths that the job still needs.
        refs: Vec<String>,
    },
    /// Another stage, when the children that were spawned have ended.
    Split {
        /// The stage.
        stage: String,
        /// Its lane.
        lane: String,
        /// As in `Next`.
        rescue: bool,
        /// Percent of the whole job when all children have ended.
        reach: f64,
        /// Its input, JSON.
        input: Vec<u8>,
        /// All the paths that the job still needs.
        refs: Vec<String>,
    },
    /// The job is complete.
    Done {
        /// The job's result, JSON.
        result: Vec<u8>,
        /// The data of `job.completed`, a JSON object.
        event: Vec<u8>,
    },
}

/// One result.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as in Grant")]
pub struct Commit {
    pub job: String,
    pub fence: String,
    pub result: Outcome,
    /// How far the whole job has come, 0 to 100, if the stage reported it.
    pub percent: Option<f64>,
}

/// What the kernel does about an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailClass {
    /// Tried again after a pause.
    Transient,
    /// The same, after a stage that stood still.
    Stalled,
    /// Tried again, and no budget is spent.
    Throttled,
    /// The job fails.
    Permanent,
}

impl FailClass {
    /// The kernel's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Stalled => "stalled",
            Self::Throttled => "throttled",
            Self::Permanent => "permanent",
        }
    }
}

/// One error, with what the caller decided from the error table.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as in Grant")]
pub struct Fail {
    pub job: String,
    pub fence: String,
    pub class: FailClass,
    pub delay_ms: u64,
    /// Errors that this stage may have in all.
    pub budget: u32,
    /// JSON object for the user.
    pub error: Vec<u8>,
    /// JSON object for the user: why the job waits. `until` is added by the script.
    pub reason: Vec<u8>,
}

/// One job given back without spending a budget.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as in Grant")]
pub struct Release {
    pub job: String,
    pub fence: String,
    /// JSON object for the user.
    pub reason: Vec<u8>,
}
