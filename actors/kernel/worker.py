"""The client of those who do work: take, beat, commit, fail, release, spawn.

Every verb is a list: one call carries up to 50 items of one partition and answers for each, in order.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import redis.asyncio

from actors.kernel.items import (
    Beat,
    Child,
    ChildRow,
    Commit,
    End,
    Fail,
    Grant,
    Pulse,
    Release,
    Spawn,
    Spawned,
    Taken,
)
from actors.kernel.keys import Keys, Partitions
from actors.kernel.options import KernelOptions
from actors.kernel.scripts import Argument, Scripts, text

ITEMS_PER_CALL = 50


Item = TypeVar("Item", Beat, Commit, Fail, Release)


def _percent(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.2f}"


def _flag(flag: bool) -> str:
    return "1" if flag else ""


_NO_REFS = b"[]"
_PULSES = {pulse.value.encode(): pulse for pulse in Pulse}
_ENDS = {end.value.encode(): end for end in End}
"""Looked up, as making members of an enumeration costs more than all else that is done with them."""


def _refs(refs: tuple[str, ...]) -> bytes:
    return msgspec.json.encode(refs) if refs else _NO_REFS


def _beat_arguments(beat: Beat) -> tuple[Argument, ...]:
    return (beat.job, beat.fence, _percent(beat.percent), beat.progress)


def _commit_arguments(commit: Commit) -> tuple[Argument, ...]:
    return (
        commit.job, commit.fence, commit.kind, commit.stage, commit.lane, _flag(commit.rescue),
        _percent(commit.percent), _percent(commit.reach), commit.body, _refs(commit.refs), commit.data,
        commit.keep,
    )  # fmt: skip


def _fail_arguments(fail: Fail) -> tuple[Argument, ...]:
    return (fail.job, fail.fence, fail.cls, fail.delay_ms, fail.budget, fail.error, fail.reason)


def _release_arguments(release: Release) -> tuple[Argument, ...]:
    return (release.job, release.fence, release.reason)


def _grant(reply: list[bytes]) -> Grant:
    job, fence, stage, tenant, kind, attempt, crashes, deadline, *more = reply
    lane, priority, percent, parent, children, spec, body, refs = more
    return Grant(
        job=job.decode(),
        fence=fence.decode(),
        stage=stage.decode(),
        tenant=tenant.decode(),
        kind=kind.decode(),
        attempt=int(attempt),
        crashes=int(crashes),
        deadline_ms=int(deadline),
        lane=lane.decode(),
        priority=priority.decode(),
        percent=float(percent),
        parent=parent.decode(),
        children=int(children),
        spec=spec,
        input=body,
        refs=() if refs == _NO_REFS else msgspec.json.decode(refs, type=tuple[str, ...]),
    )


def _child_arguments(child: Child) -> list[Argument]:
    """Ten values, see lua/spawn.lua."""
    where: list[Argument] = [child.number, child.kind, child.stage, child.lane, _flag(child.rescue)]
    listed = "1" if child.listed else "0"
    return [*where, child.priority or "", listed, child.spec, child.input, _refs(child.refs)]


def _child_row(parent: str, number: str, row: str) -> ChildRow:
    state, _, fence = row.partition(" ")
    return ChildRow(int(number), f"{parent}.{number}", state, fence)


class Worker:
    """The worker's verbs on one asyncio client. Each sends its call once; all are repeat-safe."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions, options: KernelOptions, name: str) -> None:
        self.name = name
        """Consumer name: unique for the life of one process, never used again."""
        self._client = client
        self._scripts = Scripts(client, options)
        self._partitions = partitions
        self._options = options

    async def take(self, partition: str, inboxes: Sequence[str], want: int, nonce: str, *, holding: int = 0) -> Taken:
        """Takes up to `want` jobs from the inboxes (keys), in their order; `holding`: jobs this worker has already."""
        keys = self._partitions.keys(partition)
        arguments: list[Argument] = [self.name, nonce, want, self._options.lease_ms, holding]
        grants, bells, paused, clear = await self._scripts.call("take", keys, [keys.taken(nonce), *inboxes], arguments)
        listen = {text(bells[index]): text(bells[index + 1]) for index in range(0, len(bells), 2)}
        return Taken([_grant(reply) for reply in grants], listen, [text(stage) for stage in paused], bool(clear))

    async def beat(self, partition: str, beats: Sequence[Beat]) -> list[Pulse]:
        lease: list[Argument] = [self._options.lease_ms]
        return [_PULSES[status] for status in await self._call("beat", partition, beats, _beat_arguments, lease)]

    async def commit(self, partition: str, commits: Sequence[Commit]) -> list[End]:
        lease: list[Argument] = [self._options.lease_ms]
        return [_ENDS[status] for status in await self._call("commit", partition, commits, _commit_arguments, lease)]

    async def fail(self, partition: str, fails: Sequence[Fail]) -> list[End]:
        return [_ENDS[status] for status in await self._call("fail", partition, fails, _fail_arguments, [])]

    async def release(self, partition: str, releases: Sequence[Release]) -> list[End]:
        return [_ENDS[status] for status in await self._call("release", partition, releases, _release_arguments, [])]

    async def spawn(self, partition: str, spawn: Spawn) -> Spawned:
        """Creates children of a running job. Raises an out-of-memory error of redis-py when Redis is full."""
        keys = self._partitions.keys(partition)
        names = [keys.job(spawn.job), *(keys.job(f"{spawn.job}.{child.number}") for child in spawn.children)]
        arguments: list[Argument] = [spawn.job, spawn.fence, spawn.on_child_failure]
        for child in spawn.children:
            arguments += _child_arguments(child)
        status, *outcomes = map(text, await self._scripts.call("spawn", keys, names, arguments))
        return msgspec.convert({"status": status, "outcomes": outcomes}, Spawned)

    async def children(self, partition: str, parent: str, first: int, count: int) -> list[ChildRow]:
        """The rows of the children numbered `first` and following, in order; those that do not exist are left out."""
        numbers = [str(number) for number in range(first, first + count)]
        key = self._partitions.keys(partition).kids(parent)
        rows = await self._client.hmget(key, numbers)
        return [_child_row(parent, number, text(row)) for number, row in zip(numbers, rows, strict=True) if row]

    async def _call(
        self,
        verb: str,
        partition: str,
        items: Sequence[Item],
        arguments_of: Callable[[Item], tuple[Argument, ...]],
        arguments: list[Argument],
    ) -> list[bytes]:
        """The status of each item. `arguments`: what comes before theirs."""
        keys = self._partitions.keys(partition)
        for item in items:
            arguments += arguments_of(item)
        statuses: list[bytes] = await self._scripts.call(verb, keys, job_keys(keys, items), arguments)
        return statuses


def job_keys(keys: Keys, items: Sequence[Beat] | Sequence[Commit] | Sequence[Fail] | Sequence[Release]) -> list[str]:
    prefix = keys.job("")
    return [prefix + item.job for item in items]
