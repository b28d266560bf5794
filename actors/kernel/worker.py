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


def _beat_arguments(beat: Beat) -> list[Argument]:
    return [beat.job, beat.fence, _percent(beat.percent), beat.progress]


def _commit_arguments(commit: Commit) -> list[Argument]:
    refs = msgspec.json.encode(commit.refs)
    where: list[Argument] = [commit.job, commit.fence, commit.kind, commit.stage, commit.lane, _flag(commit.rescue)]
    return [*where, _percent(commit.percent), _percent(commit.reach), commit.body, refs, commit.data, commit.keep]


def _fail_arguments(fail: Fail) -> list[Argument]:
    return [fail.job, fail.fence, fail.cls, fail.delay_ms, fail.budget, fail.error, fail.reason]


def _release_arguments(release: Release) -> list[Argument]:
    return [release.job, release.fence, release.reason]


def _grant(reply: list[bytes]) -> Grant:
    job, fence, stage, tenant, kind, attempt, crashes, deadline, *more = reply
    lane, priority, percent, parent, children, spec, body, refs = more
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
        parent=text(parent),
        children=int(children),
        spec=spec,
        input=body,
        refs=msgspec.json.decode(refs, type=tuple[str, ...]),
    )


def _child_arguments(child: Child) -> list[Argument]:
    """Ten values, see lua/spawn.lua."""
    where: list[Argument] = [child.number, child.kind, child.stage, child.lane, _flag(child.rescue)]
    listed = "1" if child.listed else "0"
    return [*where, child.priority or "", listed, child.spec, child.input, msgspec.json.encode(child.refs)]


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
        return [Pulse(status) for status in await self._call("beat", partition, beats, _beat_arguments, lease)]

    async def commit(self, partition: str, commits: Sequence[Commit]) -> list[End]:
        worker: list[Argument] = [self.name, self._options.lease_ms]
        return [End(status) for status in await self._call("commit", partition, commits, _commit_arguments, worker)]

    async def fail(self, partition: str, fails: Sequence[Fail]) -> list[End]:
        return [End(status) for status in await self._call("fail", partition, fails, _fail_arguments, [])]

    async def release(self, partition: str, releases: Sequence[Release]) -> list[End]:
        return [End(status) for status in await self._call("release", partition, releases, _release_arguments, [])]

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
        arguments_of: Callable[[Item], list[Argument]],
        first: list[Argument],
    ) -> list[str]:
        keys = self._partitions.keys(partition)
        arguments = [*first, *(argument for item in items for argument in arguments_of(item))]
        reply = await self._scripts.call(verb, keys, job_keys(keys, items), arguments)
        return [text(status) for status in reply]


def job_keys(keys: Keys, items: Sequence[Beat] | Sequence[Commit] | Sequence[Fail] | Sequence[Release]) -> list[str]:
    return [keys.job(item.job) for item in items]
