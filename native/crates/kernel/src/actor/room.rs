//! What runs in an actor, and whether there is room for more.

use std::collections::BTreeMap;

use crate::control::Control;

/// Lost leases from which on a job runs in a worker of its own, so that a poisonous one takes no
/// bystanders with it (`SUSPECT` in `lua/parts/context.lua`).
const SUSPECT: u32 = 2;

/// One running job.
struct Run {
    partition: usize,
    control: Control,
}

/// The places of one actor.
pub(super) struct Room {
    slots: usize,
    runs: BTreeMap<u64, Run>,
    next: u64,
    /// A suspect job runs: nothing may run beside it.
    alone: bool,
    /// A suspect job waits for this worker to hold nothing.
    clearing: bool,
}

impl Room {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: slots.max(1),
            runs: BTreeMap::new(),
            next: 0,
            alone: false,
            clearing: false,
        }
    }

    /// Jobs that may be taken now.
    pub(super) fn free(&self) -> usize {
        if self.alone || self.clearing {
            0
        } else {
            self.slots.saturating_sub(self.runs.len())
        }
    }

    /// Whether a job that has been granted may run now. One that a repeated take finds may come when its
    /// place is taken.
    pub(super) fn admits(&self, crashes: u32) -> bool {
        self.free() > 0 && (crashes < SUSPECT || self.runs.is_empty())
    }

    /// Jobs that run now.
    pub(super) fn holding(&self) -> usize {
        self.runs.len()
    }

    /// Whether a job of one of the partitions runs.
    pub(super) fn holds_of(&self, partitions: &[usize]) -> bool {
        self.runs
            .values()
            .any(|run| partitions.contains(&run.partition))
    }

    /// A job begins to run; gives the number of its run.
    pub(super) fn enter(&mut self, partition: usize, crashes: u32, control: Control) -> u64 {
        let run = self.next;
        self.next += 1;
        self.runs.insert(run, Run { partition, control });
        self.alone |= crashes >= SUSPECT;
        run
    }

    pub(super) fn leave(&mut self, run: u64) {
        self.runs.remove(&run);
        if self.runs.is_empty() {
            (self.alone, self.clearing) = (false, false);
        }
    }

    /// Take nothing more until nothing runs.
    pub(super) fn clear(&mut self) {
        self.clearing = !self.runs.is_empty();
    }

    pub(super) fn controls(&self) -> impl Iterator<Item = &Control> {
        self.runs.values().map(|run| &run.control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control() -> Control {
        Control::pair().0
    }

    #[test]
    fn a_suspect_job_has_the_worker_to_itself() {
        let mut room = Room::new(3);
        let first = room.enter(0, 1, control());
        assert_eq!((room.free(), room.holding()), (2, 1));
        assert!(room.admits(1) && !room.admits(2));
        room.clear();
        assert_eq!(room.free(), 0);
        room.leave(first);
        assert_eq!(room.free(), 3);
        assert!(room.admits(2));
        let suspect = room.enter(1, 2, control());
        assert_eq!(room.free(), 0);
        assert!(!room.admits(0));
        assert!(room.holds_of(&[1]) && !room.holds_of(&[0]));
        room.leave(suspect);
        room.clear();
        assert_eq!(room.free(), 3);
    }
}
