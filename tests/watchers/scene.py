"""An installation under a crowd of watchers: one Redis, gateways, a producer, and what is known at the end."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis.asyncio

from actors.kernel import Partitions, RedisOptions, connect, read_job, read_log
from tests.conftest import RedisServer
from tests.gateway.keys import KEY
from tests.watchers.checker import Allowed, Kept, Logged, Wrong, judge_all
from tests.watchers.frames import Frame
from tests.watchers.gateways import GatewayProcess, gateways
from tests.watchers.producer import TAG, Producer
from tests.watchers.story import Connected
from tests.watchers.target import Target
from tests.watchers.tenant_checker import judge_tenants
from tests.watchers.watcher import Manners, Watcher

Crowd = Callable[[int], Manners]
"""The manners of the watcher with this number."""


@dataclass(frozen=True, slots=True)
class Size:
    jobs: int
    """At most a hundred, so that a snapshot of the tenant holds all."""
    watchers: int
    of_tenant: int
    """Watchers of all jobs, or of those with the tag."""
    around_s: float
    """How long things go on before and after the fault."""
    ends_within_s: float


@dataclass
class Scene:
    server: RedisServer
    client: redis.asyncio.Redis
    gateways: list[GatewayProcess]
    producer: Producer
    watchers: list[Watcher] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    working: asyncio.Task[None] | None = None

    @property
    def partitions(self) -> Partitions:
        return Partitions(1)

    async def begin(self, size: Size, seed: str, crowd: Crowd, padding_bytes: int) -> None:
        """Returns when every watcher has been shown where its job stands."""
        jobs = await self.producer.submit(size.jobs, padding_bytes)
        ports = itertools.cycle(gateway.port for gateway in self.gateways)
        for number in range(size.watchers):
            target, ends = Target(jobs[number % size.jobs]), jobs[number % size.jobs : number % size.jobs + 1]
            if number < size.of_tenant:
                tagged = number % 4 >= 2
                target, ends = Target(tag=TAG if tagged else None), self.producer.tagged if tagged else jobs
            watcher = Watcher(f"w{number}", target, ends, KEY, lambda: next(ports), crowd(number), seed)
            self.watchers.append(watcher)
        self.tasks = [asyncio.create_task(watcher.run()) for watcher in self.watchers]
        async with asyncio.timeout(30):
            await asyncio.gather(*(watcher.following.wait() for watcher in self.watchers))
        self.working = asyncio.create_task(self.producer.run())

    async def finish(self, within_s: float) -> None:
        """Every job ends; returns when every watcher has, or after `within_s`."""
        self.producer.finish()
        await asyncio.wait(self.tasks, timeout=within_s)

    async def judge(self, allowed: Allowed) -> list[Wrong]:
        """Against the logs as they are now."""
        late = [watcher.story for watcher, task in zip(self.watchers, self.tasks, strict=True) if not task.done()]
        for task in self.tasks:
            if task.done():
                task.result()
        kept: dict[str, Kept] = {}
        for job in self.producer.jobs:
            entries = await read_log(self.client, self.partitions, job)
            kept[job] = {entry.rev: Logged(entry.type, entry.id, entry.at) for entry in entries}
        of_jobs = [watcher for watcher in self.watchers if watcher.target.job is not None]
        of_tenant = [watcher for watcher in self.watchers if watcher.target.job is None]
        found = judge_all((watcher.story for watcher in of_jobs), kept, allowed)
        found += judge_tenants(((watcher.story, watcher.jobs) for watcher in of_tenant), kept, allowed)
        for story in late:
            view = await read_job(self.client, self.partitions, story.job) if story.job else None
            found.append(Wrong("late", story.watcher, story.job, f"it still waits; {view and (view.state, view.rev)}"))
        return found

    def figures(self) -> dict[str, int]:
        """What was seen, for the report."""
        stories = [watcher.story for watcher in self.watchers]
        items = [item for story in stories for item in story.items]
        frames = Counter(item.event or "prime" for item in items if isinstance(item, Frame))
        durable = sum(number for name, number in frames.items() if name.startswith("job.") and name != "job.progress")
        return {
            "watchers": len(stories),
            "jobs": len(self.producer.jobs),
            "connections": frames["prime"],
            "refused": sum(story.refusals for story in stories),
            "durable": durable,
            "progress": frames["job.progress"],
            "snapshots": frames["snapshot"],
            "resyncs": frames["resync"],
            "sent away": frames["reconnect"],
            "ends": frames["end"],
            "stopped": sum(isinstance(item, Connected) and item.answer == "ended" for item in items),
            "transitions": sum(self.producer.transitions.values()),
        }

    async def close(self) -> None:
        running = [*self.tasks, *([self.working] if self.working else [])]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self.client.aclose()


@asynccontextmanager
async def scene(folder: Path, server: RedisServer, count: int, seed: str, tick_s: float) -> AsyncIterator[Scene]:
    """`count` gateways on this server."""
    async with gateways(count, folder, server.url) as started:
        client = connect(RedisOptions(url=server.url))
        producer = Producer(client, Partitions(1), seed, tick_s)
        made = Scene(server, client, started, producer)
        try:
            yield made
        finally:
            await made.close()
