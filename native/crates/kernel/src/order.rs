//! In which order partitions and inboxes are read.

use std::collections::BTreeSet;

use crate::keys::{Keys, PRIORITIES, Partitions};

/// The partitions, the one that gave last at the end.
pub(crate) struct Order {
    partitions: Vec<usize>,
    /// Prefix of every key of a partition, by its number.
    roots: Vec<String>,
}

impl Order {
    pub(crate) fn new(partitions: &Partitions) -> Self {
        let numbers = 0..partitions.count();
        Self {
            roots: numbers
                .clone()
                .map(|number| partitions.keys(number).root.clone())
                .collect(),
            partitions: numbers.collect(),
        }
    }

    /// The partitions in their order.
    pub(crate) fn partitions(&self) -> Vec<usize> {
        self.partitions.clone()
    }

    pub(crate) fn all(&self) -> BTreeSet<usize> {
        self.partitions.iter().copied().collect()
    }

    /// The partition gave work: the others come first from now on.
    pub(crate) fn gave(&mut self, partition: usize) {
        if let Some(position) = self.partitions.iter().position(|one| *one == partition) {
            self.partitions.rotate_left(position + 1);
        }
    }

    /// The partitions of inboxes that rang; all of them when none did.
    pub(crate) fn rung(&self, inboxes: &[String]) -> BTreeSet<usize> {
        let found: BTreeSet<usize> = (0..self.roots.len())
            .filter(|number| {
                inboxes
                    .iter()
                    .any(|inbox| inbox.starts_with(&self.roots[*number]))
            })
            .collect();
        if found.is_empty() { self.all() } else { found }
    }
}

/// Returned work first, then the priorities drawn at random by weight.
pub(crate) fn inboxes(keys: &Keys, stage: &str, lane: &str) -> Vec<String> {
    let mut inboxes = vec![keys.inbox(stage, lane, "again")];
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
    }

    #[test]
    fn only_what_rang_is_read_unless_nothing_did() {
        let order = Order::new(&Partitions::new(12));
        let rang = [
            "rw:{p01}:in:a:cpu:low".to_owned(),
            "rw:{p11}:in:a:cpu:low".to_owned(),
        ];
        assert_eq!(order.rung(&rang), [1, 11].into());
        assert_eq!(order.rung(&[]).len(), 12);
    }

    #[test]
    fn priorities_are_drawn_by_weight_and_returned_work_comes_first() {
        fastrand::seed(1);
        let partitions = Partitions::new(1);
        let mut first = std::collections::BTreeMap::new();
        for _ in 0..12_000 {
            let inboxes = inboxes(partitions.keys(0), "a", "cpu");
            assert_eq!(inboxes.len(), 4);
            assert!(inboxes[0].ends_with(":again"));
            *first.entry(inboxes[1].clone()).or_insert(0) += 1;
        }
        let share = |priority: &str| first[&partitions.keys(0).inbox("a", "cpu", priority)];
        assert!((7600..=8400).contains(&share("high")), "{first:?}");
        assert!((2700..=3300).contains(&share("normal")), "{first:?}");
        assert!((800..=1200).contains(&share("low")), "{first:?}");
    }
}
