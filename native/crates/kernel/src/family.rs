//! How a running job has children: the port behind `Task::spawn` and `Task::children`. Its calls are
//! repeat-safe and are sent until they are answered, or the job is not wanted any more.

use std::{convert::Infallible, time::Duration};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use redis::{Connection, RedisError, RedisResult};

use crate::{
    connection::{Backoff, Link, is_full, means_wait},
    handler::{BUG_CODE, FULL_CODE, Failure, check_body},
    keys::{Keys, Partitions},
    options::{KernelOptions, RedisOptions},
    worker::{CHILDREN_PER_CALL, Child, ChildRow, Grant, OnChildFailure, Spawn, Worker},
};

/// What the port needs.
pub(crate) struct Family {
    pub(crate) redis: RedisOptions,
    pub(crate) partitions: Partitions,
    pub(crate) kernel: KernelOptions,
}

/// Whose children, and when they are not wanted any more.
pub(crate) struct Parent<'a> {
    pub(crate) grant: &'a Grant,
    pub(crate) interruption: &'a Receiver<Infallible>,
}

impl Family {
    /// See `Task::spawn`.
    pub(crate) fn spawn(
        &self,
        parent: &Parent<'_>,
        children: &[Child],
        on_child_failure: OnChildFailure,
    ) -> Result<(), Failure> {
        for child in children {
            check_body(&child.spec)?;
            check_body(&child.input)?;
        }
        let mut link = Link::new(self.redis.clone(), Duration::ZERO);
        for page in children.chunks(CHILDREN_PER_CALL) {
            let asked = Spawn {
                job: parent.grant.job.clone(),
                fence: parent.grant.fence.clone(),
                on_child_failure,
                children: page.to_vec(),
            };
            let spawned = self.ask(&mut link, parent, |worker, keys| worker.spawn(keys, &asked))?;
            if spawned.status == "DEEP" || spawned.outcomes.iter().any(|one| one == "MANY") {
                return Err(bug(
                    "a job has at most 10 000 children, and three levels of them",
                ));
            }
            if spawned.status != "OK" {
                return Err(Failure::Unwanted);
            }
        }
        Ok(())
    }

    /// See `Task::children`.
    pub(crate) fn children(
        &self,
        parent: &Parent<'_>,
        first: u32,
        count: u32,
    ) -> Result<Vec<ChildRow>, Failure> {
        let mut link = Link::new(self.redis.clone(), Duration::ZERO);
        self.ask(&mut link, parent, |worker, keys| {
            worker.children(keys, &parent.grant.job, first, count)
        })
    }

    fn ask<T>(
        &self,
        link: &mut Link,
        parent: &Parent<'_>,
        mut call: impl FnMut(&mut Worker<'_>, &Keys) -> RedisResult<T>,
    ) -> Result<T, Failure> {
        let Some(partition) = self.partitions.of_job(&parent.grant.job) else {
            return Err(bug("the job belongs to no partition"));
        };
        let keys = self.partitions.keys(partition);
        let mut send = |connection: &mut Connection| {
            let options = &self.kernel;
            call(
                &mut Worker {
                    connection,
                    options,
                },
                keys,
            )
        };
        let mut backoff = Backoff::default();
        loop {
            match link.once(keys.slot(), &mut send) {
                Ok(answer) => return Ok(answer),
                Err(error) if means_wait(&error) => {
                    tracing::warn!(error = %error, "redis.awaited");
                    let waited = parent.interruption.recv_timeout(backoff.pause());
                    if waited != Err(RecvTimeoutError::Timeout) {
                        return Err(Failure::Interrupted);
                    }
                }
                Err(error) => return Err(refused(&error)),
            }
        }
    }
}

fn refused(error: &RedisError) -> Failure {
    if is_full(error) {
        return Failure::Failed {
            code: FULL_CODE.to_owned(),
            detail: "no room for children".to_owned(),
        };
    }
    bug(&error.to_string())
}

fn bug(detail: &str) -> Failure {
    Failure::Failed {
        code: BUG_CODE.to_owned(),
        detail: detail.to_owned(),
    }
}
