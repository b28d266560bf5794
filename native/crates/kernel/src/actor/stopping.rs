//! The end of an actor: what runs may finish, and what does not fit into the grace is given back.

use crossbeam_channel::{after, never, select};

use super::Actor;
use crate::{
    execution::{STOPPING, Stop},
    options::seconds,
    worker::{Release, Worker},
};

impl Actor<'_> {
    /// Waits for the running jobs and gives back what does not fit into the grace, or everything at a
    /// second signal. False when Redis did not answer for so long that the work belongs to others.
    pub(super) fn drain(&mut self) -> bool {
        self.presence.draining();
        let released = self.release_unanswered();
        if self.room.holding() > 0 {
            let stage = self.setup.handler.stage();
            tracing::info!(stage, jobs = self.room.holding(), "actor.draining");
        }
        let patience = seconds(self.setup.actor.kill_grace_s + self.setup.kernel.lease_s);
        let mut grace = after(seconds(self.setup.actor.drain_grace_s));
        let mut hurry = self.signals.clone();
        let mut unanswered = never();
        while self.room.holding() > 0 {
            let hurried = select! {
                recv(self.ended) -> run => {
                    if let Ok(run) = run {
                        self.forget(run);
                    }
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
        released
    }

    /// Gives back what a take has granted whose reply was lost: nobody works on it. False when Redis does
    /// not say what that was, or does not hear it; then the reaper finds it.
    fn release_unanswered(&mut self) -> bool {
        let partitions: Vec<usize> = self.unanswered.keys().copied().collect();
        partitions.into_iter().all(|partition| {
            // It wants nothing, so that it finds only what it was granted before.
            let Ok(taken) = self.take(partition, 0) else {
                return false;
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
            let keys = self.setup.partitions.keys(partition);
            let released = self.link.once(keys.slot(), |connection| {
                Worker {
                    connection,
                    options: &self.setup.kernel,
                }
                .release(keys, &releases)
            });
            released.is_ok()
        })
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
