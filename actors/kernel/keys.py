"""Names: partitions, keys, job ids and inboxes.

Every key of a tenant carries the hash tag of its partition, so every script touches one slot.
"""

import secrets
from collections.abc import Iterator
from typing import Literal, get_args
from zlib import crc32

from ulid import ULID

Priority = Literal["high", "normal", "low"]
Lane = Literal["cpu", "gpu"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
GROUP = "rw"
"""The one consumer group of every inbox."""


class Keys:
    """The keys of one partition, written `pp`: two decimal digits (more from partition 100 on)."""

    def __init__(self, partition: str) -> None:
        self.partition = partition
        self.root = f"rw:{{p{partition}}}:"
        self.leases = f"{self.root}leases"
        self.due = f"{self.root}due"
        self.active = f"{self.root}active"
        self.deadlines = f"{self.root}deadlines"
        self.feed = f"{self.root}feed"
        self.pulse = f"{self.root}pulse"
        self.epoch = f"{self.root}epoch"
        self.dead = f"{self.root}dead"
        self.deleted = f"{self.root}deleted"
        """Zset of jobs that were deleted with their results, by the time of that."""
        self.sweeps = f"{self.root}sweeps"
        """Set of those whose files are still to be swept."""
        self.declared = [
            self.leases, self.due, self.active, self.deadlines, self.feed, self.pulse, self.epoch, self.dead,
        ]  # fmt: skip
        """KEYS 1..8 of every verb (see lua/parts/context.lua)."""

    def job(self, job: str) -> str:
        return f"{self.root}job:{job}"

    def log(self, job: str) -> str:
        return f"{self.root}log:{job}"

    def inbox(self, stage: str, lane: str, priority: str) -> str:
        """`priority` is one of PRIORITIES, or the name of an inbox beside them.

        `again`: work that came back from a lost or stopping worker; `alone`: work that has cost two workers;
        `@<name>`: work replayed to the quarantine worker of that name.
        """
        return f"{self.root}in:{stage}:{lane}:{priority}"

    def taken(self, nonce: str) -> str:
        return f"{self.root}taken:{nonce}"

    def idempotency(self, tenant: str, key: str) -> str:
        return f"{self.root}idem:{tenant}:{key}"

    def jobs(self, tenant: str) -> str:
        return f"{self.root}jobs:{tenant}"

    def hooks(self, tenant: str) -> str:
        return f"{self.root}hooks:{tenant}"

    def held(self, tenant: str) -> str:
        """Zset of the tenant's held jobs, ordered by its members, `<stage>:<lane> <order> <id>`."""
        return f"{self.root}hold:{tenant}"

    def slots(self, tenant: str) -> str:
        """Set of the tenant's jobs that are under way."""
        return f"{self.root}run:{tenant}"

    def ready(self, stage: str, lane: str, tenant: str) -> str:
        """Set of the tenant's hints in the priority inboxes of one stage and lane."""
        return f"{self.root}ready:{stage}:{lane}:{tenant}"

    def limit(self, tenant: str) -> str:
        return f"{self.root}limit:{tenant}"

    def kids(self, parent: str) -> str:
        return f"{self.root}kids:{parent}"


class Partitions:
    """The partitions of an installation. Their number is fixed when it is installed."""

    def __init__(self, count: int) -> None:
        if count < 1:
            message = f"an installation has at least one partition, not {count}"
            raise ValueError(message)
        self.count = count
        self._keys = {partition: Keys(partition) for partition in (f"{number:02d}" for number in range(count))}

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def keys(self, partition: str) -> Keys:
        return self._keys[partition]

    def of_tenant(self, tenant: str) -> str:
        return f"{crc32(tenant.encode()) % self.count:02d}"

    def of_job(self, job: str) -> str:
        """The partition inside a job id. Raises UnknownJobId for anything that is no id of this installation."""
        partition, _, rest = job.removeprefix("j").partition("-")
        if not job.startswith("j") or not rest or not job.isascii() or partition not in self._keys:
            raise UnknownJobId(job)
        return partition

    def keys_of_job(self, job: str) -> Keys:
        return self._keys[self.of_job(job)]

    def new_id(self, tenant: str) -> str:
        """A job id, `j<partition>-<ulid>` in lower case, ordered by the time it was made."""
        return f"j{self.of_tenant(tenant)}-{str(ULID()).lower()}"


class UnknownJobId(ValueError):
    """Not a job id of this installation."""


def new_nonce() -> str:
    """Names one call of `take`; part of every fence it grants."""
    return secrets.token_hex(8)
