//! The worker's verbs as typed calls. Each carries up to [`ITEMS_PER_CALL`] items of one partition and
//! answers for each, in order. All are repeat-safe.

use redis::{ConnectionLike, RedisResult, Value, from_redis_value};

pub use crate::{
    children::{CHILDREN_PER_CALL, Child, ChildRow, OnChildFailure, Spawn, Spawned},
    items::{Ask, Beat, Commit, End, Fail, FailClass, Grant, Outcome, Pulse, Release, Taken},
};
use crate::{
    keys::Keys,
    options::KernelOptions,
    replies::{taken, unexpected},
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
    /// Takes work, in the order of the inboxes.
    pub fn take(&mut self, keys: &Keys, ask: &Ask) -> RedisResult<Taken> {
        let mut extra = vec![keys.taken(&ask.nonce)];
        extra.extend_from_slice(&ask.inboxes);
        let arguments = vec![
            ask.worker.clone().into(),
            ask.nonce.clone().into(),
            ask.want.to_string().into(),
            self.options.lease_ms().to_string().into(),
            ask.holding.to_string().into(),
        ];
        taken(self.send(Verb::Take, keys, extra, arguments)?)
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
        let mut arguments = vec![self.options.lease_ms().to_string().into()];
        arguments.extend(commits.iter().flat_map(commit_arguments));
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

    /// Creates children of a running job. At maxmemory nothing is created; the error's code is `OOM`.
    pub fn spawn(&mut self, keys: &Keys, spawn: &Spawn) -> RedisResult<Spawned> {
        let mut jobs = vec![keys.job(&spawn.job)];
        let mut arguments: Vec<Vec<u8>> = vec![
            spawn.job.clone().into(),
            spawn.fence.clone().into(),
            spawn.on_child_failure.name().into(),
        ];
        for child in &spawn.children {
            jobs.push(keys.job(&format!("{}.{}", spawn.job, child.number)));
            arguments.extend([
                child.number.to_string().into(),
                child.kind.clone().into(),
                child.stage.clone().into(),
                child.lane.clone().into(),
                rescue_argument(child.rescue),
                child.priority.clone().unwrap_or_default().into(),
                if child.listed { b"1" } else { b"0" }.to_vec(),
                child.spec.clone(),
                child.input.clone(),
                refs_argument(&child.refs),
            ]);
        }
        let mut answers: Vec<String> =
            from_redis_value(self.send(Verb::Spawn, keys, jobs, arguments)?)?;
        if answers.is_empty() {
            return Err(unexpected("spawn answers nothing".to_owned()));
        }
        let outcomes = answers.split_off(1);
        let status = answers.swap_remove(0);
        Ok(Spawned { status, outcomes })
    }

    /// The rows of the children numbered `first` and following, in order; those that do not exist are
    /// left out.
    pub fn children(
        &mut self,
        keys: &Keys,
        parent: &str,
        first: u32,
        count: u32,
    ) -> RedisResult<Vec<ChildRow>> {
        let numbers: Vec<u32> = (first..first.saturating_add(count)).collect();
        let rows: Vec<Option<String>> = redis::cmd("HMGET")
            .arg(keys.children(parent))
            .arg(&numbers)
            .query(self.connection)?;
        let rows = numbers.into_iter().zip(rows);
        Ok(rows
            .filter_map(|(number, row)| {
                let row = row?;
                let (state, fence) = row.split_once(' ').unwrap_or((&row, ""));
                Some(ChildRow {
                    number,
                    job: format!("{parent}.{number}"),
                    state: state.to_owned(),
                    fence: fence.to_owned(),
                })
            })
            .collect())
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

/// Twelve an item, see `commit.lua`. A process works on one stage here, so it has no next one to keep a job for.
fn commit_arguments(commit: &Commit) -> [Vec<u8>; 12] {
    let none = Vec::new;
    let percent = || percent_argument(commit.percent);
    let [kind, stage, lane, rescue, percent, reach, body, refs, data] = match &commit.result {
        Outcome::Next {
            stage,
            lane,
            rescue,
            input,
            refs,
        } => [
            b"next".to_vec(),
            stage.clone().into(),
            lane.clone().into(),
            rescue_argument(*rescue),
            percent(),
            none(),
            input.clone(),
            refs_argument(refs),
            b"{}".to_vec(),
        ],
        Outcome::Split {
            stage,
            lane,
            rescue,
            reach,
            input,
            refs,
        } => [
            b"split".to_vec(),
            stage.clone().into(),
            lane.clone().into(),
            rescue_argument(*rescue),
            percent(),
            format!("{reach:.2}").into(),
            input.clone(),
            refs_argument(refs),
            b"{}".to_vec(),
        ],
        Outcome::Done { result, event } => [
            b"done".to_vec(),
            none(),
            none(),
            none(),
            none(),
            none(),
            result.clone(),
            b"[]".to_vec(),
            event.clone(),
        ],
    };
    let (job, fence) = (commit.job.clone().into(), commit.fence.clone().into());
    [
        job,
        fence,
        kind,
        stage,
        lane,
        rescue,
        percent,
        reach,
        body,
        refs,
        data,
        none(),
    ]
}

fn percent_argument(percent: Option<f64>) -> Vec<u8> {
    percent
        .map(|percent| format!("{percent:.2}"))
        .unwrap_or_default()
        .into()
}

fn refs_argument(refs: &[String]) -> Vec<u8> {
    serde_json::to_vec(refs).unwrap_or_else(|_| b"[]".to_vec())
}

fn rescue_argument(rescue: bool) -> Vec<u8> {
    if rescue { b"1".to_vec() } else { Vec::new() }
}
