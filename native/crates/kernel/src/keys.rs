//! Names: partitions, keys and inboxes. Every key of a tenant carries the hash tag of its partition, so
//! every script touches one slot.

/// Priorities of inboxes, and how often each is drawn first.
pub const PRIORITIES: [(&str, u32); 3] = [("high", 8), ("normal", 3), ("low", 1)];

/// Prefix of every key that belongs to no partition; one slot.
pub(crate) const SYSTEM: &str = "rw:{sys}:";

/// The keys of one partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keys {
    /// Prefix of every key of the partition.
    pub root: String,
    slot: u16,
}

impl Keys {
    fn new(number: u32) -> Self {
        let tag = format!("p{number:02}");
        Self {
            slot: slot(&tag),
            root: format!("rw:{{{tag}}}:"),
        }
    }

    /// The slot of all its keys in a Cluster.
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.slot
    }

    /// KEYS 1..8 of every verb (see `lua/parts/context.lua`).
    #[must_use]
    pub fn declared(&self) -> [String; 8] {
        [
            "leases",
            "due",
            "active",
            "deadlines",
            "feed",
            "pulse",
            "epoch",
            "dead",
        ]
        .map(|name| format!("{}{name}", self.root))
    }

    /// The job's hash.
    #[must_use]
    pub fn job(&self, job: &str) -> String {
        format!("{}job:{job}", self.root)
    }

    /// `priority` is one of [`PRIORITIES`], `again`: work that came back from a lost or stopping worker,
    /// `alone`: work that has cost two workers, or `@<name>`: work for the quarantine worker of that name.
    #[must_use]
    pub fn inbox(&self, stage: &str, lane: &str, priority: &str) -> String {
        format!("{}in:{stage}:{lane}:{priority}", self.root)
    }

    /// What a parent knows of its children.
    #[must_use]
    pub fn children(&self, parent: &str) -> String {
        format!("{}kids:{parent}", self.root)
    }

    /// What one call of `take` granted.
    #[must_use]
    pub fn taken(&self, nonce: &str) -> String {
        format!("{}taken:{nonce}", self.root)
    }
}

/// The partitions of an installation. Their number is fixed when it is installed.
#[derive(Clone, Debug)]
pub struct Partitions {
    keys: Vec<Keys>,
}

impl Partitions {
    /// That many partitions, at least one.
    #[must_use]
    pub fn new(count: u32) -> Self {
        Self {
            keys: (0..count.max(1)).map(Keys::new).collect(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The keys of the partition with that number, from 0.
    ///
    /// # Panics
    ///
    /// When there is no such partition.
    #[must_use]
    pub fn keys(&self, number: usize) -> &Keys {
        &self.keys[number]
    }

    /// The number of the partition inside a job id, `None` for anything that is no id of this
    /// installation.
    #[must_use]
    pub fn of_job(&self, job: &str) -> Option<usize> {
        let (partition, rest) = job.strip_prefix('j')?.split_once('-')?;
        let digits = partition.len() >= 2 && partition.bytes().all(|byte| byte.is_ascii_digit());
        let number: usize = partition.parse().ok()?;
        let exact = digits && format!("{number:02}") == partition;
        (exact && !rest.is_empty() && number < self.keys.len()).then_some(number)
    }
}

/// The slot of a hash tag in a Cluster: CRC-16 of polynomial 0x1021 (XMODEM), modulo 16384.
#[must_use]
pub(crate) fn slot(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    });
    crc % 16384
}

/// Names one call of `take`; part of every fence that it grants.
#[must_use]
pub fn new_nonce() -> String {
    format!("{:016x}", fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // The first is the check value of the algorithm, the others are what CLUSTER KEYSLOT answers.
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(
            (slot("p00"), slot("p15"), slot("sys")),
            (11214, 2138, 15725)
        );
    }

    #[test]
    fn a_job_id_names_its_partition() {
        let partitions = Partitions::new(16);
        assert_eq!(partitions.of_job("j07-01hx"), Some(7));
        assert_eq!(partitions.keys(7).job("j07-01hx"), "rw:{p07}:job:j07-01hx");
        assert_eq!(
            partitions.keys(7).inbox("a", "cpu", "low"),
            "rw:{p07}:in:a:cpu:low"
        );
        for wrong in [
            "j16-01hx", "j7-01hx", "j007-x", "j07-", "07-01hx", "j+7-x", "", "j",
        ] {
            assert_eq!(partitions.of_job(wrong), None, "{wrong}");
        }
    }
}
