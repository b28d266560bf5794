//! In which order partitions and inboxes are read.

use crate::keys::{Keys, PRIORITIES, Partitions};

/// The partitions, the one that gave last at the end.
pub(crate) struct Order {
    partitions: Vec<usize>,
}

impl Order {
    pub(crate) fn new(partitions: &Partitions) -> Self {
        Self {
            partitions: (0..partitions.count()).collect(),
        }
    }

    /// The partitions in their order.
    pub(crate) fn partitions(&self) -> Vec<usize> {
        self.partitions.clone()
    }

    /// The partition is read next.
    pub(crate) fn first(&mut self, partition: usize) {
        self.partitions.retain(|one| *one != partition);
        self.partitions.insert(0, partition);
    }

    /// The partition gave work, or did not answer: the others come first from now on.
    pub(crate) fn gave(&mut self, partition: usize) {
        if let Some(position) = self.partitions.iter().position(|one| *one == partition) {
            self.partitions.rotate_left(position + 1);
        }
    }
}

/// Returned work first, then what must run alone, then the priorities drawn at random by weight. A
/// quarantine worker reads its own inbox and no other.
pub(crate) fn inboxes(keys: &Keys, stage: &str, lane: &str, quarantine: &str) -> Vec<String> {
    if !quarantine.is_empty() {
        return vec![keys.inbox(stage, lane, &format!("@{quarantine}"))];
    }
    let mut inboxes = vec![
        keys.inbox(stage, lane, "again"),
        keys.inbox(stage, lane, "alone"),
    ];
    let mut left = PRIORITIES.to_vec();
    while !left.is_empty() {
        let total: u32 = left.iter().map(|(_, weight)| weight).sum();
        let mut drawn = fastrand::u32(0..total);
        let position = left.iter().position(|(_, weight)| {
            let hit = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            hit
        });
        let (priority, _) = left.remove(position.unwrap_or(0));
        inboxes.push(keys.inbox(stage, lane, priority));
    }
    inboxes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_that_gave_comes_last() {
        let mut order = Order::new(&Partitions::new(4));
        order.gave(1);
        assert_eq!(order.partitions(), [2, 3, 0, 1]);
        order.gave(3);
        assert_eq!(order.partitions(), [0, 1, 2, 3]);
        order.first(2);
        assert_eq!(order.partitions(), [2, 0, 1, 3]);
    }

    #[test]
    fn returned_work_is_read_first() {
        let partitions = Partitions::new(1);
        for _ in 0..20 {
            let inboxes = inboxes(partitions.keys(0), "a", "cpu", "");
            assert_eq!(
                inboxes[..2],
                ["rw:{p00}:in:a:cpu:again", "rw:{p00}:in:a:cpu:alone"]
            );
            assert_eq!(inboxes.len(), 5);
        }
    }

    #[test]
    fn a_quarantine_worker_reads_its_own_inbox() {
        let partitions = Partitions::new(1);
        let inboxes = inboxes(partitions.keys(0), "a", "gpu", "bay");
        assert_eq!(inboxes, ["rw:{p00}:in:a:gpu:@bay"]);
    }

    #[test]
    fn priorities_are_drawn_by_weight_and_returned_work_comes_first() {
        fastrand::seed(1);
        let partitions = Partitions::new(1);
        let mut first = std::collections::BTreeMap::new();
        for _ in 0..12_000 {
            let inboxes = inboxes(partitions.keys(0), "a", "cpu", "");
            assert_eq!(inboxes.len(), 5);
            assert!(inboxes[0].ends_with(":again") && inboxes[1].ends_with(":alone"));
            *first.entry(inboxes[2].clone()).or_insert(0) += 1;
        }
        let share = |priority: &str| first[&partitions.keys(0).inbox("a", "cpu", priority)];
        assert!((7600..=8400).contains(&share("high")), "{first:?}");
        assert!((2700..=3300).contains(&share("normal")), "{first:?}");
        assert!((800..=1200).contains(&share("low")), "{first:?}");
    }
}
