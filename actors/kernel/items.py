"""What travels in the worker's verbs, and what is answered."""

from enum import StrEnum
from typing import Literal

import msgspec

from actors.kernel.keys import Lane, Priority

BODY_LIMIT_BYTES = 65_536
"""Of one body (spec, input, result). Scripts carry bodies and never look into them."""


class BodyTooLarge(ValueError):
    """A body of a job exceeds 64 KiB."""


def check_bodies(*bodies: bytes) -> None:
    """Raises BodyTooLarge."""
    largest = max(map(len, bodies))
    if largest > BODY_LIMIT_BYTES:
        message = f"a body of {largest} bytes; at most {BODY_LIMIT_BYTES} are kept"
        raise BodyTooLarge(message)


class End(StrEnum):
    """How a commit, fail or release stands. On anything but OK, KEPT and LATE a worker stops and deletes nothing."""

    OK = "OK"
    KEPT = "KEPT"
    """Accepted, and the next stage is this worker's at once."""
    LATE = "LATE"
    """Accepted after a reap, because nobody had taken the job again."""
    ALREADY = "ALREADY"
    """This very end is recorded."""
    CANCELLED = "CANCELLED"
    """The cancel flag won."""
    FENCED = "FENCED"
    """A newer fence, or a terminal state."""
    GONE = "GONE"
    ERROR = "ERROR"
    """The script failed on this item and on no other; Redis's log says why. Its lease will run out."""


class Pulse(StrEnum):
    """How a beat stands."""

    OK = "OK"
    CANCEL = "CANCEL"
    DEADLINE = "DEADLINE"
    FENCED = "FENCED"
    ERROR = "ERROR"
    """The script failed on this item and on no other; Redis's log says why."""


class Grant(msgspec.Struct, frozen=True):
    """The right to work on one stage of one job, until the lease ends."""

    job: str
    fence: str
    """`<takes>.<nonce>`; part of every path the stage writes."""
    stage: str
    tenant: str
    kind: str
    attempt: int
    """Errors of the handler in this stage so far."""
    crashes: int
    """Leases of this stage lost so far."""
    deadline_ms: int
    lane: str
    priority: str
    percent: float
    """High-water mark of the whole job."""
    parent: str
    """Id of the job this is a child of, or empty."""
    children: int
    """Highest number of its children."""
    spec: bytes
    input: bytes
    refs: tuple[str, ...]


class Taken(msgspec.Struct, frozen=True):
    """The answer of one `take`."""

    grants: list[Grant]
    bells: dict[str, str]
    """Inbox key to the last id its group has delivered, when nothing was granted: where the doorbell listens."""
    paused: list[str] = []
    """Stages that were asked for and are paused."""
    clear: bool = False
    """A job waits that must run alone: take nothing until this worker holds nothing."""


class Beat(msgspec.Struct, frozen=True):
    """One lease to renew; `percent` and `progress` only when something moved."""

    job: str
    fence: str
    percent: float | None = None
    progress: bytes = b"{}"


class Commit(msgspec.Struct, frozen=True):
    """One result.

    `next` queues `stage` with `body` as its input, `split` does so when the job's children have ended, `done` completes
    the job with `body` as result.
    """

    job: str
    fence: str
    kind: Literal["next", "split", "done"]
    stage: str
    lane: str
    body: bytes
    refs: tuple[str, ...] = ()
    data: bytes = b"{}"
    """done: the data of job.completed, a JSON object."""
    percent: float | None = None
    """next, split: how far the whole job has come, if the stage reported it."""
    rescue: bool = False
    """next, split: whether the job may leave the gpu lane when no gpu worker is left."""
    reach: float = 100.0
    """split: percent of the job when its children have ended."""
    keep: str = ""
    """next: the worker that has a free slot for the next stage in this process, and would go on with it."""


class Fail(msgspec.Struct, frozen=True):
    """One error, with what the caller decided from the error table."""

    job: str
    fence: str
    cls: Literal["transient", "stalled", "throttled", "permanent"]
    delay_ms: int
    budget: int
    """Errors this stage may have in all."""
    error: bytes
    """JSON object for the user."""
    reason: bytes
    """JSON object for the user: why the job waits. `until` is added by the script."""


class Release(msgspec.Struct, frozen=True):
    """One job given back without spending a budget."""

    job: str
    fence: str
    reason: bytes


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """One child to create: the job `<parent>.<number>`."""

    number: int
    """From 1, without gaps."""
    stage: str
    spec: bytes
    input: bytes
    kind: str = "media"
    lane: Lane = "cpu"
    rescue: bool = False
    priority: Priority | None = None
    """None: the parent's."""
    listed: bool = False
    refs: tuple[str, ...] = ()


OnChildFailure = Literal["go_on", "fail"]


class Spawn(msgspec.Struct, frozen=True):
    """Children of one running job, at most a hundred a call."""

    job: str
    fence: str
    children: tuple[Child, ...]
    on_child_failure: OnChildFailure = "go_on"
    """fail: the first failed or expired child ends the parent `failed`."""


class Spawned(msgspec.Struct, frozen=True):
    """The answer of one `spawn`."""

    status: Literal["OK", "CANCELLED", "FENCED", "ALREADY", "GONE", "DEEP"]
    """DEEP: children have children at most three times. On anything but OK nothing was created."""
    outcomes: tuple[Literal["OK", "EXISTS", "MANY"], ...] = ()
    """One for each child. MANY: a number beyond 10 000."""


class ChildRow(msgspec.Struct, frozen=True):
    """What a parent knows of one child."""

    number: int
    job: str
    state: str
    """`open`, or its end: completed, failed, cancelled or expired."""
    fence: str
    """Under which it ended; part of the path of its results."""
