"""The client of those who do work: take, beat, commit, fail, release.

Every verb is a list: one call carries up to 50 items of one partition and answers for each, in order.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Literal, TypeVar

import msgspec
import redis.asyncio

from actors.kernel.keys import Keys, Partitions
from actors.kernel.options import KernelOptions
from actors.kernel.scripts import Argument, BlockingScripts, Scripts, text

ITEMS_PER_CALL = 50


class End(StrEnum):
    """How a commit, fail or release stands. On anything but OK and LATE a worker stops and deletes nothing."""

    OK = "OK"
    LATE = "LATE"
    """Accepted after a reap, because nobody had taken the job again."""
    ALREADY = "ALREADY"
    """This very end is recorded."""
    CANCELLED = "CANCELLED"
    """The cancel flag won."""
    FENCED = "FENCED"
    """A newer fence, or a terminal state."""
    GONE = "GONE"


class Pulse(StrEnum):
    """How a beat stands."""

    OK = "OK"
    CANCEL = "CANCEL"
    DEADLINE = "DEADLINE"
    FENCED = "FENCED"


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
    spec: bytes
    input: bytes
    refs: tuple[str, ...]


class Taken(msgspec.Struct, frozen=True):
    """The answer of one `take`."""

    grants: list[Grant]
    bells: dict[str, str]
    """Inbox key to the last id its group has delivered, when nothing was granted: where the doorbell listens."""


class Beat(msgspec.Struct, frozen=True):
    """One lease to renew; `percent` and `progress` only when something moved."""

    job: str
    fence: str
    percent: float | None = None
    progress: bytes = b"{}"


class Commit(msgspec.Struct, frozen=True):
    """One result: `next` queues `stage` with `body` as its input, `done` completes the job with `body` as result."""

    job: str
    fence: str
    kind: Literal["next", "done"]
    stage: str
    lane: str
    body: bytes
    refs: tuple[str, ...] = ()
    data: bytes = b"{}"
    """done: the data of job.completed, a JSON object."""
    percent: float | None = None
    """next: how far the whole job has come, if the stage reported it."""


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


Item = TypeVar("Item", Beat, Commit, Fail, Release)


def _percent(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.2f}"


def _beat_arguments(beat: Beat) -> list[Argument]:
    return [beat.job, beat.fence, _percent(beat.percent), beat.progress]


def _commit_arguments(commit: Commit) -> list[Argument]:
    refs = msgspec.json.encode(commit.refs)
    where: list[Argument] = [commit.job, commit.fence, commit.kind, commit.stage, commit.lane]
    return [*where, _percent(commit.percent), commit.body, refs, commit.data]


def _fail_arguments(fail: Fail) -> list[Argument]:
    return [fail.job, fail.fence, fail.cls, fail.delay_ms, fail.budget, fail.error, fail.reason]


def _release_arguments(release: Release) -> list[Argument]:
    return [release.job, release.fence, release.reason]


def _grant(reply: list[bytes]) -> Grant:
    job, fence, stage, tenant, kind, attempt, crashes, deadline, lane, priority, percent, spec, body, refs = reply
    return Grant(
        job=text(job),
        fence=text(fence),
        stage=text(stage),
        tenant=text(tenant),
        kind=text(kind),
        attempt=int(attempt),
        crashes=int(crashes),
        deadline_ms=int(deadline),
        lane=text(lane),
        priority=text(priority),
        percent=float(percent),
        spec=spec,
        input=body,
        refs=msgspec.json.decode(refs, type=tuple[str, ...]),
    )


class Worker:
    """The worker's verbs on one asyncio client. Each sends its call once; all are repeat-safe."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions, options: KernelOptions, name: str) -> None:
        self.name = name
        """Consumer name: unique for the life of one process, never used again."""
        self._scripts = Scripts(client, options)
        self._partitions = partitions
        self._options = options

    async def take(self, partition: str, inboxes: Sequence[str], want: int, nonce: str) -> Taken:
        """Takes up to `want` jobs from the inboxes (keys), in their order."""
        keys = self._partitions.keys(partition)
        arguments: list[Argument] = [self.name, nonce, want, self._options.lease_ms]
        grants, bells = await self._scripts.call("take", keys, [keys.taken(nonce), *inboxes], arguments)
        listen = {text(bells[index]): text(bells[index + 1]) for index in range(0, len(bells), 2)}
        return Taken([_grant(reply) for reply in grants], listen)

    async def beat(self, partition: str, beats: Sequence[Beat]) -> list[Pulse]:
        lease: list[Argument] = [self._options.lease_ms]
        return [Pulse(status) for status in await self._call("beat", partition, beats, _beat_arguments, lease)]

    async def commit(self, partition: str, commits: Sequence[Commit]) -> list[End]:
        return [End(status) for status in await self._call("commit", partition, commits, _commit_arguments, [])]

    async def fail(self, partition: str, fails: Sequence[Fail]) -> list[End]:
        return [End(status) for status in await self._call("fail", partition, fails, _fail_arguments, [])]

    async def release(self, partition: str, releases: Sequence[Release]) -> list[End]:
        return [End(status) for status in await self._call("release", partition, releases, _release_arguments, [])]

    async def _call(
        self,
        verb: str,
        partition: str,
        items: Sequence[Item],
        arguments_of: Callable[[Item], list[Argument]],
        first: list[Argument],
    ) -> list[str]:
        keys = self._partitions.keys(partition)
        arguments = [*first, *(argument for item in items for argument in arguments_of(item))]
        reply = await self._scripts.call(verb, keys, job_keys(keys, items), arguments)
        return [text(status) for status in reply]


def job_keys(keys: Keys, items: Sequence[Beat] | Sequence[Commit] | Sequence[Fail] | Sequence[Release]) -> list[str]:
    return [keys.job(item.job) for item in items]


def send_beats(scripts: BlockingScripts, keys: Keys, options: KernelOptions, beats: Sequence[Beat]) -> list[Pulse]:
    """`Worker.beat` for the thread of beats, which has a connection of its own."""
    arguments: list[Argument] = [options.lease_ms]
    for beat in beats:
        arguments += _beat_arguments(beat)
    return [Pulse(text(status)) for status in scripts.call("beat", keys, job_keys(keys, beats), arguments)]
