"""What Redis holds of the jobs, as a value that can be compared, hashed and gone back to.

What no later call can tell apart is left out: events, percents, and what has ended.
"""

from typing import NamedTuple

from actors.kernel.states import State


class Row(NamedTuple):
    """One job."""

    id: str
    stage: str
    state: State
    inbox: str
    """Name of the inbox of a queued job, without stage and lane."""
    fence: str
    ended: str
    """Verb of the last end, if there was one."""
    ended_fence: str
    takes: int
    attempt: int
    crashes: int
    cancel: bool
    overdue: bool
    """Whether its deadline has passed."""
    row: str
    """`fresh` or `out`: its row of the leases. `due`: its row of the delays. Empty: it has none."""


class Entry(NamedTuple):
    """One entry of an inbox."""

    job: str
    delivered: bool
    """Whether the group is past it."""
    hint: bool
    """Whether the job's hash names it: any other one is stale."""


class Grant(NamedTuple):
    """What is remembered of one take, for as long as its worker may repeat it."""

    nonce: str
    job: str
    fence: str


class Kept(NamedTuple):
    """Everything."""

    jobs: tuple[Row, ...]
    streams: tuple[tuple[str, tuple[Entry, ...]], ...]
    """Inbox (`<stage>:<name>`) to its entries, oldest first. Empty ones are left out."""
    taken: tuple[Grant, ...]
    damaged: bool
    """Whether hints or rows were lost, and no reconcile has looked since."""


class Act(NamedTuple):
    """One call, or one thing that happens to what Redis holds."""

    verb: str
    job: str = ""
    fence: str = ""
    nonce: str = ""
    """Of a take."""
    stage: str = ""
    """The stage that the worker was granted; or the inbox that something happens to."""


Answer = tuple[str, ...]
"""A take: job, fence and stage, or nothing. Other verbs: the status. A pass of the reaper: what it did."""

STAGES = ("a", "b")
INBOXES = tuple(f"{stage}:{name}" for stage in STAGES for name in ("again", "alone", "normal"))
"""In the order in which they are read."""
ERROR_BUDGET = 2
"""Errors of a handler that a stage may have."""
