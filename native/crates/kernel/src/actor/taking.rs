//! Waiting for rings, and taking from the partitions that rang.

use crossbeam_channel::{TryRecvError, at, never, select};
use redis::RedisResult;

use super::{Actor, shard::Shard};
use crate::{
    connection::means_wait,
    doorbell::{Answer, Ring},
    ends::Ending,
    execution::LATE_GRANT,
    keys::new_nonce,
    order::inboxes,
    worker::{Ask, ITEMS_PER_CALL, Release, Taken, Worker},
};

/// A drain has begun.
pub(super) struct Draining;

impl Actor<'_> {
    /// Takes from every sound partition that rang, until none gives or there is no room.
    pub(super) fn take_what_rang(&mut self) -> Result<(), Draining> {
        loop {
            while let Ok(run) = self.ended.try_recv() {
                self.forget(run);
            }
            if self.signals.try_recv() != Err(TryRecvError::Empty) {
                return Err(Draining);
            }
            let mut candidates = self.order.partitions();
            candidates.retain(|one| self.rung.contains(one) && self.shard(*one).is_sound());
            let Some(partition) = candidates.first().copied() else {
                return Ok(());
            };
            if self.room.free() == 0 {
                return Ok(());
            }
            match self.take(partition, self.room.free().min(ITEMS_PER_CALL)) {
                Ok(taken) => self.took(partition, taken),
                Err(error) => {
                    let stage = self.setup.handler.stage();
                    if means_wait(&error) {
                        tracing::warn!(stage, error = %error, "actor.disconnected");
                    } else {
                        tracing::error!(stage, error = %error, "actor.take_refused");
                    }
                    self.shard(partition).broke();
                    for shard in &mut self.shards {
                        shard.doubt();
                    }
                    self.order.gave(partition);
                }
            }
        }
    }

    /// Takes once.
    pub(super) fn take(&mut self, partition: usize, want: usize) -> RedisResult<Taken> {
        let keys = self.setup.partitions.keys(partition);
        let stage = self.setup.handler.stage();
        let ask = Ask {
            worker: self.name.clone(),
            // Kept until it is answered: a take whose reply was lost is repeated under the same nonce and
            // finds its grants.
            nonce: self
                .unanswered
                .entry(partition)
                .or_insert_with(new_nonce)
                .clone(),
            inboxes: inboxes(
                keys,
                stage,
                &self.setup.actor.lane,
                &self.setup.kernel.quarantine,
            ),
            want,
            holding: self.room.holding(),
        };
        let taken = self.link.once(keys.slot(), |connection| {
            Worker {
                connection,
                options: &self.setup.kernel,
            }
            .take(keys, &ask)
        })?;
        self.unanswered.remove(&partition);
        Ok(taken)
    }

    fn took(&mut self, partition: usize, taken: Taken) {
        let granted = !taken.grants.is_empty();
        for grant in taken.grants {
            if self.room.admits(grant.crashes) {
                self.start(partition, grant);
            } else {
                let release = Release {
                    job: grant.job,
                    fence: grant.fence,
                    reason: LATE_GRANT.to_vec(),
                };
                self.shard(partition).ends.send(Ending::Release(release));
            }
        }
        let paused = taken
            .paused
            .iter()
            .any(|stage| stage == self.setup.handler.stage());
        self.shard(partition)
            .answered(partition, taken.bells, paused);
        if taken.clear {
            self.room.clear();
            self.order.first(partition);
        } else if granted {
            self.order.gave(partition);
        } else {
            self.rung.remove(&partition);
        }
        if !self.ready {
            self.ready = true;
            tracing::info!(stage = self.setup.handler.stage(), "actor.ready");
        }
    }

    /// Waits until something rings or ends, or there is something to look at.
    pub(super) fn wait(&mut self) -> Result<(), Draining> {
        for shard in &mut self.shards {
            if self.rung.iter().all(|one| !shard.partitions.contains(one)) {
                shard.listen();
            }
        }
        let wakes_at = self.shards.iter().filter_map(Shard::wakes_at).min();
        select! {
            recv(self.rings) -> ring => if let Ok(ring) = ring { self.rang(ring) },
            recv(self.ended) -> run => if let Ok(run) = run { self.forget(run) },
            recv(self.signals) -> _ => return Err(Draining),
            recv(wakes_at.map_or_else(never, at)) -> _ => {}
        }
        let beat = self.setup.kernel.beat();
        for shard in &mut self.shards {
            let holds = self.room.holds_of(&shard.partitions);
            self.rung.extend(shard.look(holds, beat));
        }
        Ok(())
    }

    fn rang(&mut self, (number, answer): Ring) {
        let shard = &mut self.shards[number];
        let error = match answer {
            Answer::Rang(Ok(inboxes)) => {
                let rung = shard.rang(&inboxes, &self.setup.partitions);
                self.rung.extend(rung);
                return;
            }
            Answer::Pinged(Ok(())) => return shard.answers(),
            Answer::Rang(Err(error)) | Answer::Pinged(Err(error)) => error,
        };
        let stage = self.setup.handler.stage();
        tracing::warn!(stage, error = %error, "actor.disconnected");
        shard.rang_badly();
    }
}
