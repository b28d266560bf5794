//! Sending the ends of leases. What waits at the same moment travels in one call; a single end is sent
//! at once. Calls are repeated until they are answered: the verbs are repeat-safe.

use std::{
    collections::BTreeMap,
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use redis::{RedisError, RedisResult};

use crate::{
    connection::Link,
    keys::Partitions,
    options::{KernelOptions, RedisOptions},
    scripts::Verb,
    worker::{Commit, End, Fail, ITEMS_PER_CALL, Release, Worker},
};

/// One end of one lease.
#[derive(Debug)]
pub(crate) enum Ending {
    Commit(Commit),
    Fail(Fail),
    Release(Release),
}

impl Ending {
    fn job(&self) -> &str {
        match self {
            Self::Commit(commit) => &commit.job,
            Self::Fail(fail) => &fail.job,
            Self::Release(release) => &release.job,
        }
    }

    fn verb(&self) -> Verb {
        match self {
            Self::Commit(_) => Verb::Commit,
            Self::Fail(_) => Verb::Fail,
            Self::Release(_) => Verb::Release,
        }
    }
}

type Answer = Result<End, RedisError>;
type Waiting = (Ending, Sender<Answer>);

/// A thread with one connection.
#[derive(Clone)]
pub(crate) struct Ends {
    sender: Sender<Waiting>,
}

impl Ends {
    /// The thread ends after the last clone was dropped.
    pub(crate) fn start(
        redis: RedisOptions,
        partitions: Partitions,
        options: KernelOptions,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = unbounded();
        let thread = thread::Builder::new()
            .name("ends".to_owned())
            .spawn(move || run(&receiver, redis, &partitions, &options))?;
        Ok((Self { sender }, thread))
    }

    /// Sends one end without waiting for how it stands.
    pub(crate) fn send(&self, ending: Ending) {
        let (answer, _) = bounded(1);
        let _ = self.sender.send((ending, answer));
    }

    /// Sends one end and says how it stands. Fails only for errors that waiting does not cure.
    pub(crate) fn end(&self, ending: Ending) -> Option<Answer> {
        let (answer, answered) = bounded(1);
        self.sender.send((ending, answer)).ok()?;
        answered.recv().ok()
    }
}

fn run(
    receiver: &Receiver<Waiting>,
    redis: RedisOptions,
    partitions: &Partitions,
    options: &KernelOptions,
) {
    let mut link = Link::new(redis, Duration::ZERO);
    while let Ok(first) = receiver.recv() {
        let mut groups: BTreeMap<(Verb, Option<usize>), Vec<Waiting>> = BTreeMap::new();
        for waiting in std::iter::once(first).chain(receiver.try_iter()) {
            let group = (waiting.0.verb(), partitions.of_job(waiting.0.job()));
            groups.entry(group).or_default().push(waiting);
        }
        for ((_, partition), mut items) in groups {
            // A job without a partition cannot have been taken.
            let Some(partition) = partition else { continue };
            while !items.is_empty() {
                let page: Vec<Waiting> = items.drain(..items.len().min(ITEMS_PER_CALL)).collect();
                answer(page, |endings| {
                    let keys = partitions.keys(partition);
                    link.persist(keys.slot(), |connection| {
                        let mut worker = Worker {
                            connection,
                            options,
                        };
                        let Endings {
                            commits,
                            fails,
                            releases,
                        } = endings;
                        match () {
                            () if !commits.is_empty() => worker.commit(keys, commits),
                            () if !fails.is_empty() => worker.fail(keys, fails),
                            () => worker.release(keys, releases),
                        }
                    })
                });
            }
        }
    }
}

/// The items of one call: all of one verb.
#[derive(Default)]
struct Endings {
    commits: Vec<Commit>,
    fails: Vec<Fail>,
    releases: Vec<Release>,
}

fn answer(page: Vec<Waiting>, send: impl FnOnce(&Endings) -> RedisResult<Vec<End>>) {
    let mut endings = Endings::default();
    let mut senders = Vec::new();
    for (ending, sender) in page {
        match ending {
            Ending::Commit(commit) => endings.commits.push(commit),
            Ending::Fail(fail) => endings.fails.push(fail),
            Ending::Release(release) => endings.releases.push(release),
        }
        senders.push(sender);
    }
    match send(&endings) {
        Ok(ends) => {
            for (sender, end) in senders.into_iter().zip(ends) {
                let _ = sender.send(Ok(end));
            }
        }
        Err(error) => {
            for sender in senders {
                let _ = sender.send(Err(error.clone()));
            }
        }
    }
}
