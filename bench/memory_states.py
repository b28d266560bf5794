"""The measured part of `memory`: jobs are brought into a state by the verbs, and the server says what they take."""

import asyncio
import itertools
from collections.abc import Iterable

import msgspec
import redis.asyncio

from actors.kernel import Beat, Child, Commit, Fail, Grant, KernelOptions, RedisOptions, Spawn, Submission, connect
from actors.kernel.scripts import text
from bench.bodies import COMPLETED, ERROR, INPUTS, PROGRESS, REFS, RESULT, SPEC
from bench.house import INBOXES, LEASE_S, PARTITION, WIDTH, House

STAGES = tuple(INPUTS)
STATES = ("queued", "held", "running", "delayed", "waiting child", "completed", "failed")
FAMILY = 500
"""Children of one parent."""
PAGE = 100
SUBMITTERS = 16
SETTLE_S = 0.3
LONGEST_SETTLE_S = 20.0
SHORT = 100
"""Entries of feed and progress: both are bounded, so they are kept out of the figures of single jobs."""


class Figures(msgspec.Struct, frozen=True):
    """Jobs in one state."""

    state: str
    bytes_per_job: int
    """Growth of used_memory, everything included but feed, progress and the memory of `take`, which ends by itself."""
    hash_bytes: int
    """MEMORY USAGE of one job's hash."""
    hash_encoding: str
    log_bytes: int
    """MEMORY USAGE of its log."""


class Entries(msgspec.Struct, frozen=True):
    """Memory of a stream by the number of its entries, after whole jobs."""

    feed_bytes: int
    pulse_bytes: int


class Left(msgspec.Struct, frozen=True):
    """Before, with and after many finished jobs. Bytes are used_memory, or MEMORY USAGE of keys."""

    base_bytes: int
    full_bytes: int
    rest_bytes: int
    feed_bytes: int
    inbox_bytes: int
    other_bytes: int
    job_keys: int
    """Keys that belong to a job or a tenant and are still there."""
    fragmentation_full: float
    """allocator_active / allocator_allocated."""
    fragmentation_rest: float


class Measurement:
    """On one server that belongs to it."""

    def __init__(self, url: str, jobs: int, packed_bytes: int | None) -> None:
        self._client: redis.asyncio.Redis = connect(RedisOptions(url=url))
        self._jobs = jobs
        self._packed_bytes = packed_bytes
        self._house = House(self._client, KernelOptions(lease_s=LEASE_S, feed_length=SHORT, pulse_length=SHORT))
        self._keys = self._house.keys

    async def open(self) -> tuple[str, str, int]:
        """Version, allocator and the longest value of a packed hash."""
        # A connection takes about 20 kB of the server: all that will be used are opened now.
        await asyncio.gather(*(self._client.ping() for _ in range(SUBMITTERS)))
        await self._house.load()
        if self._packed_bytes is not None:
            await self._client.config_set("hash-max-ziplist-value", self._packed_bytes)
        limit = (await self._client.config_get("hash-max-ziplist-value"))["hash-max-ziplist-value"]
        version = (await self._client.info("server"))["redis_version"]
        return str(version), str((await self._client.info("memory"))["mem_allocator"]), int(limit or 0)

    async def close(self) -> None:
        await self._client.aclose()

    async def state(self, name: str) -> Figures:
        """Makes the jobs and measures them."""
        base_bytes = await self._begin()
        job = await self._reach(name)
        grown = await self._settled() - base_bytes
        key = self._keys.job(job)
        return Figures(
            state=name,
            bytes_per_job=round(grown / self._jobs),
            hash_bytes=await self._client.memory_usage(key, samples=0) or 0,
            hash_encoding=(await self._client.object("encoding", key)).decode(),
            log_bytes=await self._client.memory_usage(self._keys.log(job), samples=0) or 0,
        )

    async def entries(self) -> Entries:
        """Of a feed and of progress that were not cut."""
        bounded, self._house = self._house, House(self._client)
        await self._begin()
        await self._reach("completed")
        sizes = [
            round((await self._client.memory_usage(key, samples=0) or 0) / await self._client.xlen(key))
            for key in (self._keys.feed, self._keys.pulse)
        ]
        self._house = bounded
        return Entries(*sizes)

    async def after_retention(self) -> Left:
        """Finishes all jobs, forgets them, and looks at what is there."""
        base_bytes = await self._begin()
        known = await self._usage()
        await self._reach("completed")
        full_bytes = await self._settled()
        fragmentation_full = await self._fragmentation()
        jobs = [text(row) for row in await self._client.zrange(self._keys.deadlines, 0, -1)]
        for first in range(0, len(jobs), PAGE):
            await self._house.keeper.purge(PARTITION, jobs[first : first + PAGE])
        while retained := (await self._house.keeper.expire(PARTITION)).retained:
            await self._house.keeper.retention(PARTITION, retained)
        rest_bytes = await self._settled()
        usage = await self._usage()
        feed = {self._keys.feed, self._keys.pulse, self._keys.epoch}
        inboxes = {key for key in usage if ":in:" in key}
        others = usage.keys() - known.keys() - feed - inboxes
        return Left(
            base_bytes=base_bytes,
            full_bytes=full_bytes,
            rest_bytes=rest_bytes,
            feed_bytes=sum(usage[key] for key in feed if key in usage),
            inbox_bytes=sum(usage[key] for key in inboxes),
            other_bytes=sum(usage[key] for key in others),
            job_keys=len(others),
            fragmentation_full=fragmentation_full,
            fragmentation_rest=await self._fragmentation(),
        )

    async def _begin(self) -> int:
        """An installation without jobs, whose workers have asked once; used_memory of it."""
        await self._client.flushall()
        for stage in STAGES:
            await self._take(stage)
        return await self._settled()

    async def _reach(self, name: str) -> str:
        """Brings all jobs into a state; returns one of them."""
        if name == "waiting child":
            return await self._families()
        jobs = await self._submit("acme" if name == "held" else None)
        if name in {"queued", "held"}:
            return jobs[-1]
        last = {"running": "transcode", "completed": "store"}.get(name, "transcode")
        for stage in itertools.takewhile(lambda stage: stage != last, STAGES):
            await self._pass(stage)
        await self._finish(last, name)
        return jobs[-1]

    async def _submit(self, tenant: str | None) -> list[str]:
        """At the first stage; without a tenant each window of jobs belongs to another one."""
        numbers = iter(range(self._jobs))
        jobs: list[str] = []

        async def send() -> None:
            for number in numbers:
                submission = Submission(
                    tenant=tenant or f"tenant-{number // WIDTH}",
                    stage=STAGES[0],
                    spec=SPEC,
                    input=INPUTS[STAGES[0]],
                    refs=REFS[STAGES[0]],
                )
                jobs.append((await self._house.submitter.submit(submission)).job)

        await asyncio.gather(*(send() for _ in range(SUBMITTERS)))
        return jobs

    async def _take(self, stage: str) -> list[Grant]:
        inboxes = [self._keys.inbox(stage, "cpu", name) for name in INBOXES]
        return (await self._house.worker.take(PARTITION, inboxes, WIDTH, self._house.new_nonce())).grants

    async def _pass(self, stage: str) -> None:
        following = STAGES[STAGES.index(stage) + 1]
        body, refs = INPUTS[following], REFS[following]
        while grants := await self._take(stage):
            await self._beat(grants)
            commits = [Commit(each.job, each.fence, "next", following, "cpu", body, refs) for each in grants]
            await self._house.worker.commit(PARTITION, commits)

    async def _beat(self, grants: Iterable[Grant]) -> None:
        await self._house.worker.beat(PARTITION, [Beat(each.job, each.fence, 40.0, PROGRESS) for each in grants])

    async def _finish(self, stage: str, name: str) -> None:
        while grants := await self._take(stage):
            await self._beat(grants)
            if name == "completed":
                commits = [Commit(each.job, each.fence, "done", "", "", RESULT, (), COMPLETED) for each in grants]
                await self._house.worker.commit(PARTITION, commits)
            elif name in {"delayed", "failed"}:
                budget = 1 if name == "failed" else 3
                fails = [Fail(each.job, each.fence, "transient", 60_000, budget, ERROR, ERROR) for each in grants]
                await self._house.worker.fail(PARTITION, fails)

    async def _families(self) -> str:
        """Unlisted children that wait for a worker, five hundred to a parent; the parents are counted with them."""
        child = ""
        for number in range(self._jobs // FAMILY):
            submission = Submission(tenant=f"tenant-{number}", stage="ingest", spec=SPEC, input=INPUTS["ingest"])
            await self._house.submitter.submit(submission)
            (parent,) = await self._take("ingest")
            for first in range(1, FAMILY, PAGE):
                numbers = range(first, first + PAGE)
                children = tuple(
                    Child(number=each, stage="transcode", spec=SPEC, input=INPUTS["transcode"], refs=REFS["transcode"])
                    for each in numbers
                )
                await self._house.worker.spawn(PARTITION, Spawn(parent.job, parent.fence, children))
            split = Commit(parent.job, parent.fence, "split", "store", "cpu", INPUTS["store"], REFS["store"])
            await self._house.worker.commit(PARTITION, [split])
            child = f"{parent.job}.{FAMILY}"
        return child

    async def _settled(self) -> int:
        """used_memory once it stands still. What `take` keeps for its repeat would end after five minutes."""
        async for key in self._client.scan_iter(f"{self._keys.root}taken:*", count=1000):
            await self._client.delete(key)
        seen = -1
        for _ in range(round(LONGEST_SETTLE_S / SETTLE_S)):
            used = int((await self._client.info("memory"))["used_memory"])
            if used == seen:
                break
            seen = used
            await asyncio.sleep(SETTLE_S)
        return seen

    async def _usage(self) -> dict[str, int]:
        """MEMORY USAGE of every key, few as they are."""
        keys = [key.decode() async for key in self._client.scan_iter(count=1000)]
        return {key: await self._client.memory_usage(key, samples=0) or 0 for key in keys}

    async def _fragmentation(self) -> float:
        memory = await self._client.info("memory")
        return round(int(memory["allocator_active"]) / int(memory["allocator_allocated"]), 2)
