//! The worker's verbs as typed calls. Each carries up to [`ITEMS_PER_CALL`] items of one partition and
//! answers for each, in order. All are repeat-safe.

use redis::{
    ConnectionLike, ErrorKind, FromRedisValue, RedisError, RedisResult, Value, from_redis_value,
};

use crate::{
    keys::Keys,
    options::KernelOptions,
    scripts::{Call, Verb},
};

/// Items of one call.
pub const ITEMS_PER_CALL: usize = 50;

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
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [
            Self::Ok,
            Self::Late,
            Self::Already,
            Self::Cancelled,
            Self::Fenced,
            Self::Gone,
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
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Ok, Self::Cancel, Self::Deadline, Self::Fenced]
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
    /// What the client asked for, JSON.
    pub spec: Vec<u8>,
    /// What the stage before handed over, JSON.
    pub input: Vec<u8>,
    /// Paths that the job still needs.
    pub refs: Vec<String>,
}

/// The answer of one `take`.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// What was granted.
    pub grants: Vec<Grant>,
    /// Inbox and the last id that its group has delivered, when nothing was granted: where the
    /// doorbell listens.
    pub bells: Vec<(String, String)>,
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

/// The verbs on one connection. Each call is sent once.
pub struct Worker<'a> {
    /// The connection.
    pub connection: &'a mut dyn ConnectionLike,
    /// Times and bounds.
    pub options: &'a KernelOptions,
}

impl Worker<'_> {
    /// Takes up to `want` jobs from the inboxes (keys), in their order.
    pub fn take(
        &mut self,
        keys: &Keys,
        worker: &str,
        inboxes: &[String],
        want: usize,
        nonce: &str,
    ) -> RedisResult<Taken> {
        let mut extra = vec![keys.taken(nonce)];
        extra.extend_from_slice(inboxes);
        let arguments = vec![
            worker.into(),
            nonce.into(),
            want.to_string().into(),
            self.options.lease_ms().to_string().into(),
        ];
        let reply = self.send(Verb::Take, keys, extra, arguments)?;
        let (grants, bells): (Vec<Value>, Vec<String>) = from_redis_value(reply)?;
        Ok(Taken {
            grants: grants.into_iter().map(grant).collect::<RedisResult<_>>()?,
            bells: bells
                .chunks_exact(2)
                .map(|pair| (pair[0].clone(), pair[1].clone()))
                .collect(),
        })
    }

    /// Renews leases and carries progress.
    pub fn beat(&mut self, keys: &Keys, beats: &[Beat]) -> RedisResult<Vec<Pulse>> {
        let mut arguments = vec![self.options.lease_ms().to_string().into()];
        for beat in beats {
            let percent = beat.percent.map(|percent| format!("{percent:.2}"));
            arguments.push(beat.job.clone().into());
            arguments.push(beat.fence.clone().into());
            arguments.push(percent.unwrap_or_default().into());
            arguments.push(beat.progress.clone());
        }
        let jobs = beats.iter().map(|beat| keys.job(&beat.job)).collect();
        self.answers(Verb::Beat, keys, jobs, arguments, Pulse::parse)
    }

    /// Ends leases with a result.
    pub fn commit(&mut self, keys: &Keys, commits: &[Commit]) -> RedisResult<Vec<End>> {
        let mut arguments: Vec<Vec<u8>> = Vec::new();
        for commit in commits {
            arguments.push(commit.job.clone().into());
            arguments.push(commit.fence.clone().into());
            match &commit.result {
                Outcome::Next {
                    stage,
                    lane,
                    input,
                    refs,
                } => {
                    let refs = serde_json::to_vec(refs).unwrap_or_else(|_| b"[]".to_vec());
                    arguments.extend([b"next".to_vec(), stage.clone().into(), lane.clone().into()]);
                    arguments.extend([input.clone(), refs, b"{}".to_vec()]);
                }
                Outcome::Done { result, event } => {
                    arguments.extend([b"done".to_vec(), Vec::new(), Vec::new()]);
                    arguments.extend([result.clone(), b"[]".to_vec(), event.clone()]);
                }
            }
        }
        let jobs = commits.iter().map(|commit| keys.job(&commit.job)).collect();
        self.answers(Verb::Commit, keys, jobs, arguments, End::parse)
    }

    /// Ends leases with an error.
    pub fn fail(&mut self, keys: &Keys, fails: &[Fail]) -> RedisResult<Vec<End>> {
        let mut arguments: Vec<Vec<u8>> = Vec::new();
        for fail in fails {
            arguments.extend([
                fail.job.clone().into(),
                fail.fence.clone().into(),
                fail.class.name().into(),
                fail.delay_ms.to_string().into(),
                fail.budget.to_string().into(),
                fail.error.clone(),
                fail.reason.clone(),
            ]);
        }
        let jobs = fails.iter().map(|fail| keys.job(&fail.job)).collect();
        self.answers(Verb::Fail, keys, jobs, arguments, End::parse)
    }

    /// Gives work back.
    pub fn release(&mut self, keys: &Keys, releases: &[Release]) -> RedisResult<Vec<End>> {
        let mut arguments: Vec<Vec<u8>> = Vec::new();
        for release in releases {
            arguments.extend([
                release.job.clone().into(),
                release.fence.clone().into(),
                release.reason.clone(),
            ]);
        }
        let jobs = releases
            .iter()
            .map(|release| keys.job(&release.job))
            .collect();
        self.answers(Verb::Release, keys, jobs, arguments, End::parse)
    }

    fn answers<T>(
        &mut self,
        verb: Verb,
        keys: &Keys,
        jobs: Vec<String>,
        arguments: Vec<Vec<u8>>,
        parse: fn(&str) -> Option<T>,
    ) -> RedisResult<Vec<T>> {
        let items = jobs.len();
        let reply = self.send(verb, keys, jobs, arguments)?;
        let names: Vec<String> = from_redis_value(reply)?;
        let answers: Option<Vec<T>> = names.iter().map(|name| parse(name)).collect();
        answers
            .filter(|answers| answers.len() == items)
            .ok_or_else(|| unexpected(format!("{}: {names:?}", verb.name())))
    }

    fn send(
        &mut self,
        verb: Verb,
        keys: &Keys,
        extra: Vec<String>,
        arguments: Vec<Vec<u8>>,
    ) -> RedisResult<Value> {
        let call = Call {
            verb,
            keys,
            extra,
            arguments,
        };
        call.send(self.connection, self.options)
    }
}

fn grant(reply: Value) -> RedisResult<Grant> {
    let fields: Vec<Value> = from_redis_value(reply)?;
    let count = fields.len();
    let [
        job,
        fence,
        stage,
        tenant,
        kind,
        attempt,
        crashes,
        deadline,
        lane,
        priority,
        percent,
        spec,
        input,
        refs,
    ] = <[Value; 14]>::try_from(fields)
        .map_err(|_| unexpected(format!("a grant of {count} fields")))?;
    let refs: String = from_redis_value(refs)?;
    Ok(Grant {
        job: from_redis_value(job)?,
        fence: from_redis_value(fence)?,
        stage: from_redis_value(stage)?,
        tenant: from_redis_value(tenant)?,
        kind: from_redis_value(kind)?,
        attempt: from_redis_value(attempt)?,
        crashes: from_redis_value(crashes)?,
        deadline_ms: from_redis_value(deadline)?,
        lane: from_redis_value(lane)?,
        priority: from_redis_value(priority)?,
        percent: from_redis_value(percent)?,
        spec: bytes(spec)?,
        input: bytes(input)?,
        refs: serde_json::from_str(&refs).map_err(|error| unexpected(format!("refs: {error}")))?,
    })
}

/// A body; one that the job does not have is empty.
fn bytes(value: Value) -> RedisResult<Vec<u8>> {
    Option::<Vec<u8>>::from_redis_value(value)
        .map(Option::unwrap_or_default)
        .map_err(Into::into)
}

fn unexpected(detail: String) -> RedisError {
    (ErrorKind::UnexpectedReturnType, "unexpected reply", detail).into()
}
