//! Stopping a handler from outside, and why.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::worker::Pulse;

/// Why a handler was stopped before its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    Cancel,
    Deadline,
    Fenced,
    Stalled,
    GiveBack,
}

/// Stops one handler from outside. The first reason counts.
#[derive(Clone)]
pub(crate) struct Control {
    reason: Arc<Mutex<Option<Stop>>>,
    stopped: Sender<()>,
}

impl Control {
    pub(crate) fn pair() -> (Self, Receiver<()>) {
        let (stopped, heard) = bounded(1);
        let control = Self {
            reason: Arc::default(),
            stopped,
        };
        (control, heard)
    }

    pub(crate) fn halt(&self, stop: Stop) {
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if reason.is_none() {
            *reason = Some(stop);
            let _ = self.stopped.try_send(());
        }
    }

    /// What a beat answered.
    pub(crate) fn on_pulse(&self, pulse: Pulse) {
        match pulse {
            // An error is of the script: the lease runs out, or is renewed by a later beat.
            Pulse::Ok | Pulse::Error => {}
            Pulse::Cancel => self.halt(Stop::Cancel),
            Pulse::Deadline => self.halt(Stop::Deadline),
            Pulse::Fenced => self.halt(Stop::Fenced),
        }
    }

    pub(crate) fn reason(&self) -> Option<Stop> {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
