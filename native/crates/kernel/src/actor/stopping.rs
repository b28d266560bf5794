//! The end of an actor: what runs may finish, and what does not fit into the grace is given back.

use crossbeam_channel::{after, never, select};

use super::Actor;
use crate::{execution::Stop, options::seconds};

impl Actor<'_> {
    /// Waits for the running jobs and gives back what does not fit into the grace, or everything at a
    /// second signal. False when Redis did not answer for so long that the work belongs to others.
    pub(super) fn drain(&mut self) -> bool {
        if !self.running.is_empty() {
            let stage = self.setup.handler.stage();
            tracing::info!(stage, jobs = self.running.len(), "actor.draining");
        }
        let patience = seconds(self.setup.actor.kill_grace_s + self.setup.kernel.lease_s);
        let mut grace = after(seconds(self.setup.actor.drain_grace_s));
        let mut hurry = self.signals.clone();
        let mut unanswered = never();
        while !self.running.is_empty() {
            let hurried = select! {
                recv(self.ended) -> run => {
                    self.forget(run);
                    false
                }
                recv(hurry) -> _ => true,
                recv(grace) -> _ => true,
                recv(unanswered) -> _ => return false,
            };
            if hurried {
                self.give_back();
                (hurry, grace, unanswered) = (never(), never(), after(patience));
            }
        }
        true
    }

    fn give_back(&self) {
        for control in self.running.values() {
            control.halt(Stop::GiveBack);
        }
    }
}
