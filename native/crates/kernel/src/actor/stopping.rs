//! The end of an actor: what runs may finish, and what does not fit into the grace is given back.

use std::time::{Duration, Instant};

use crossbeam_channel::{after, never, select};

use super::Actor;
use crate::{
    connection::Backoff,
    control::Stop,
    execution::STOPPING,
    options::seconds,
    worker::{Release, Worker},
};

impl Actor<'_> {
    /// Waits for the running jobs and gives back what does not fit into the grace, or everything at a
    /// second signal. False when Redis did not answer for so long that the work belongs to others.
    pub(super) fn drain(&mut self) -> bool {
        self.presence.draining();
        if self.room.holding() > 0 {
            let stage = self.setup.handler.stage();
            tracing::info!(stage, jobs = self.room.holding(), "actor.draining");
        }
        let lease = seconds(self.setup.kernel.lease_s);
        let patience = seconds(self.setup.actor.kill_grace_s) + lease;
        let mut grace = after(seconds(self.setup.actor.drain_grace_s));
        let mut hurry = self.signals.clone();
        let mut unanswered = never();
        let (mut asking, mut backoff) = (after(Duration::ZERO), Backoff::default());
        // After a lease without a beat, what nobody knows of is the reaper's.
        let asks_until = Instant::now() + lease;
        while self.room.holding() > 0
            || (!self.unanswered.is_empty() && Instant::now() < asks_until)
        {
            let hurried = select! {
                recv(self.ended) -> run => {
                    if let Ok(run) = run {
                        self.forget(run);
                    }
                    false
                }
                recv(asking) -> _ => {
                    self.release_unanswered();
                    asking = if self.unanswered.is_empty() {
                        never()
                    } else {
                        after(backoff.pause())
                    };
                    false
                }
                recv(hurry) -> _ => true,
                recv(grace) -> _ => true,
                recv(unanswered) -> _ => return false,
            };
            if hurried {
                for control in self.room.controls() {
                    control.halt(Stop::GiveBack);
                }
                (hurry, grace, unanswered) = (never(), never(), after(patience));
            }
        }
        true
    }

    /// Gives back what takes have granted whose replies were lost: nobody works on it.
    fn release_unanswered(&mut self) {
        for (partition, nonce) in self.unanswered.clone() {
            // It wants nothing, so that it finds only what it was granted before.
            let Ok(taken) = self.take(partition, 0) else {
                continue;
            };
            let releases: Vec<Release> = taken
                .grants
                .into_iter()
                .map(|grant| Release {
                    job: grant.job,
                    fence: grant.fence,
                    reason: STOPPING.to_vec(),
                })
                .collect();
            if releases.is_empty() {
                continue;
            }
            let keys = self.setup.partitions.keys(partition);
            let released = self.link.once(keys.slot(), |connection| {
                Worker {
                    connection,
                    options: &self.setup.kernel,
                }
                .release(keys, &releases)
            });
            if released.is_err() {
                self.unanswered.insert(partition, nonce);
            }
        }
    }

    /// Ends the threads. `answered`: whether every end has been answered.
    pub(super) fn end(self, answered: bool) {
        let Self {
            shards, presence, ..
        } = self;
        for shard in shards {
            shard.end(answered);
        }
        presence.end();
    }
}
