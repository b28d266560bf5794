"""What is left when a run is over: facts read from Redis, the storage and the process table. Plain data."""

from typing import Any

import msgspec


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One job as Redis holds it."""

    job: str
    fields: dict[str, str]
    """Its hash; bodies as text."""
    log: list[dict[str, Any]]
    """Its durable events: id, type, job, rev, at (server ms), data."""
    kids: dict[str, str] = {}
    """Its hash of children, where it has any."""


class KeyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One key. `name` is without its partition's root."""

    partition: str
    name: str
    type: str
    ttl_ms: int
    """-1: none."""
    size: int
    """Members, entries, fields or bytes."""
    pending: int = 0
    """Of a stream: entries of all groups that are delivered and not acknowledged."""
    members: tuple[str, ...] = ()
    """Of sets, sorted sets and hashes (field names), at most 10 000."""


class Leavings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything, once all work is over and the processes still run; what is read after their end says so."""

    jobs: dict[str, JobFacts]
    keys: list[KeyFacts]
    files: list[str]
    """Paths under the storage's root, and under the scratch folders as `scratch/…`. After the collector's time."""
    manifests: dict[str, dict[str, Any]]
    """Path of each manifest.json that was ever seen, to its content. Read before and after the collector's time."""
    server_ms_at_0: float
    """Server time in ms at CLOCK_MONOTONIC 0: ties `at` of events to `at_s` of records."""
    forgotten: list[KeyFacts] = []
    """Keys left after every job's retention was made to end. Only what belongs to the installation may be here."""
    forgotten_files: list[str] = []
    exits: dict[str, int] = {}
    """Process name to status, after SIGTERM to everybody at the end."""
    processes: dict[int, str] = {}
    """What still ran after the end: process id to command line."""
    log_errors: list[dict[str, Any]] = []
    """Lines of level error or above in the logs of the role processes, with `process`; other lines as `text`."""
    servers: dict[str, str] = {}
    """Partition to the server that holds it, where there are several."""
    digests: dict[str, str] = {}
    """SHA-256 of each file of `files` under out/."""
    unquiet: list[str] = []
    """What had not come to rest when patience was over, in words."""
