//! The worker's verbs as typed calls. Each carries up to [`ITEMS_PER_CALL`] items of one partition and
//! answers for each, in order. All are repeat-safe.

use redis::{
    ConnectionLike, ErrorKind, FromRedisValue, RedisError, RedisResult, Value, from_redis_value,
};

pub use crate::items::{Beat, Commit, End, Fail, FailClass, Grant, Outcome, Pulse, Release, Taken};
use crate::{
    keys::Keys,
    options::KernelOptions,
    scripts::{Call, Verb},
};

/// Items of one call.
pub const ITEMS_PER_CALL: usize = 50;

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
            arguments.push(beat.job.clone().into());
            arguments.push(beat.fence.clone().into());
            arguments.push(percent_argument(beat.percent));
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
                    arguments.push(percent_argument(commit.percent));
                    arguments.extend([input.clone(), refs, b"{}".to_vec()]);
                }
                Outcome::Done { result, event } => {
                    arguments.extend([b"done".to_vec(), Vec::new(), Vec::new(), Vec::new()]);
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

fn percent_argument(percent: Option<f64>) -> Vec<u8> {
    percent
        .map(|percent| format!("{percent:.2}"))
        .unwrap_or_default()
        .into()
}
