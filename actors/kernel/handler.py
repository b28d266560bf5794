"""What a stage is to its author: a task comes in, one of a closed set of results goes out.

A handler never talks to Redis. It returns Next, Split or Done, or raises one of the failures below; anything else is a
bug and is reported as one.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from actors.kernel.items import Child, ChildRow, Grant, OnChildFailure
from actors.kernel.keys import Lane


class Next(msgspec.Struct, frozen=True):
    """The stage is done; `stage` follows with `input`. `refs` are all the paths the job still needs."""

    stage: str
    input: bytes
    refs: tuple[str, ...] = ()
    lane: Lane = "cpu"
    rescue: bool = False
    """Whether a job in the gpu lane may run on a cpu when no gpu worker is left."""


class Split(msgspec.Struct, frozen=True):
    """The stage has spawned children; `stage` follows with `input` when the last of them has ended."""

    stage: str
    input: bytes
    refs: tuple[str, ...] = ()
    lane: Lane = "cpu"
    rescue: bool = False
    reach: float = 100.0
    """Percent of the job when its children have ended; until then it follows theirs."""


class Done(msgspec.Struct, frozen=True):
    """The job is done. `event` is the data of job.completed, a JSON object."""

    result: bytes
    event: bytes = b"{}"


Result = Next | Split | Done


class StageFailure(Exception):
    """A failure with a code of the error table. `detail` is for the log and never shown to a user."""

    def __init__(self, code: str, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


class Transient(StageFailure):
    """May work another time; spends one attempt."""


class Throttled(StageFailure):
    """Must wait; spends nothing."""


class Permanent(StageFailure):
    """Will never work."""


class Stalled(StageFailure):
    """Nothing moved for the stage's stall timeout; spends one attempt."""


class Cancelled(StageFailure):
    """The handler noticed that its job is no longer wanted."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from a failure: the arguments of `fail`."""

    cls: Literal["transient", "stalled", "throttled", "permanent"]
    code: str
    delay_ms: int
    budget: int
    error: bytes
    reason: bytes


class FailurePolicy(Protocol):
    """Reads the error table."""

    def decide(self, stage: str, attempt: int, failure: BaseException) -> Failure:
        """`attempt`: errors of this stage before this one."""


class Family(Protocol):
    """The port through which a task has children."""

    async def spawn(self, grant: Grant, children: Sequence[Child], on_child_failure: OnChildFailure) -> None: ...

    async def children(self, grant: Grant, first: int, count: int) -> list[ChildRow]: ...


class Task:
    """One grant, as its handler sees it."""

    def __init__(self, grant: Grant, report: Callable[["Task"], None], family: Family) -> None:
        self.grant = grant
        self._family = family
        self.percent = grant.percent
        """High-water mark of the whole job, 0 to 100. Written by the handler through `report`."""
        self.progress = b"{}"
        """Last reported progress. Written by the handler through `report`."""
        self.moved_at_s = time.monotonic()
        """When the job's own progress last moved; the stall watchdog reads it."""
        self._cancelled: asyncio.Event | None = None
        """Made when somebody asks for it: few handlers do."""
        self._report = report

    @property
    def cancelled(self) -> asyncio.Event:
        """Set when the work is no longer wanted: cancel, deadline or a lost fence. Set by the actor."""
        if self._cancelled is None:
            self._cancelled = asyncio.Event()
        return self._cancelled

    @property
    def job(self) -> str:
        return self.grant.job

    @property
    def fence(self) -> str:
        return self.grant.fence

    @property
    def stage(self) -> str:
        return self.grant.stage

    @property
    def tenant(self) -> str:
        return self.grant.tenant

    @property
    def kind(self) -> str:
        return self.grant.kind

    @property
    def attempt(self) -> int:
        return self.grant.attempt

    @property
    def crashes(self) -> int:
        return self.grant.crashes

    @property
    def spec(self) -> bytes:
        return self.grant.spec

    @property
    def input(self) -> bytes:
        return self.grant.input

    @property
    def refs(self) -> tuple[str, ...]:
        return self.grant.refs

    @property
    def deadline_ms(self) -> int:
        return self.grant.deadline_ms

    async def spawn(self, children: Sequence[Child], on_child_failure: OnChildFailure = "go_on") -> None:
        """Creates children, which begin at once; the stage then ends with Split. Repeat-safe by their numbers.

        Raises Throttled when Redis is full, Cancelled when the job is not wanted any more, ValueError for more than
        10 000 children or more than three levels of them, and BodyTooLarge.
        """
        await self._family.spawn(self.grant, children, on_child_failure)

    async def children(self, first: int = 1, count: int = 100) -> list[ChildRow]:
        """How the children numbered from `first` on stand: one page of rows."""
        return await self._family.children(self.grant, first, count)

    def report(self, percent: float | None, progress: bytes = b"{}", *, moved: bool = True) -> None:
        """Reports overall percent and a JSON object, at any rate. `moved=False` does not calm the stall watchdog."""
        if percent is not None:
            self.percent = max(self.percent, min(percent, 100.0))
        self.progress = progress
        if moved:
            self.moved_at_s = time.monotonic()
        self._report(self)


class Handler(Protocol):
    """The work of one stage."""

    stage: str

    async def handle(self, task: Task) -> Result:
        """Does the stage. It is cancelled when the work is no longer wanted and must then end its children."""
