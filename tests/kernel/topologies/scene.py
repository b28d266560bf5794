"""A whole installation in one event loop, work submitted to it without pause, and what is checked afterwards."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import structlog

from actors.installation import kernel_options, redis_options
from actors.kernel import (
    Done,
    Next,
    Partitions,
    Service,
    State,
    StoreUnavailable,
    Submission,
    Submitter,
    Task,
    connect,
    read_job,
)
from actors.media.reading import read_body
from actors.media.task import JobSpec, Result, encode
from actors.places import storage_of
from actors.reaper import Reaper
from actors.settings import load
from gateway.http.service import GatewayService
from tests.kernel.stages import Installation, Scripted, eventually

KEY = "rw_a-key-for-tests"
TENANT = "default"
"""Whose jobs the gateway's key may see."""
PAUSE_S = 0.02
"""Between two submissions of one tenant."""
SPEC = encode(JobSpec(source="https://media.example/clip.mp4", format="mp3"))

log = structlog.get_logger("tests.failover")


def _submission(tenant: str, stage: str, key: str) -> Submission:
    return Submission(tenant=tenant, stage=stage, spec=SPEC, input=b"{}", idempotency_key=key, digest="d")


class Load:
    """Submits for some tenants, each job under a key of its own, and keeps what was answered."""

    def __init__(self, submitter: Submitter, tenants: list[str]) -> None:
        self._submitter = submitter
        self._tenants = tenants
        self.accepted: dict[str, Submission] = {}
        """Job to the submission that was answered with it."""
        self.longest_wait_s = dict.fromkeys(tenants, 0.0)
        """Longest time between two answers, by tenant."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        tasks = [asyncio.create_task(self._submit(tenant, stopping)) for tenant in self._tenants]
        try:
            yield
        finally:
            stopping.set()
            await asyncio.gather(*tasks)

    async def submit_one(self, submission: Submission) -> str:
        """Insists until it is answered, as a client with an idempotency key may."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                return (await self._submitter.submit(submission)).job

    async def more(self, number: int) -> None:
        """Returns when so many more jobs have been answered."""
        target = len(self.accepted) + number

        async def there() -> bool:
            return len(self.accepted) >= target

        await eventually(there, 20.0, lambda: f"only {len(self.accepted)} jobs were answered")

    def measured(self, **figures: float) -> float:
        """Writes the figures of a failover down; returns the longest time any submission waited for its answer."""
        waits = {tenant: round(wait_s, 2) for tenant, wait_s in self.longest_wait_s.items()}
        log.info("failover.measured", longest_wait_s=waits, jobs=len(self.accepted), **figures)
        return max(waits.values())

    async def park(self, key: str) -> str:
        """A job of TENANT that waits for a stage nobody runs."""
        return await self.submit_one(_submission(TENANT, "parked", key))

    async def _submit(self, tenant: str, stopping: asyncio.Event) -> None:
        number = 0
        while not stopping.is_set():
            asked_s = monotonic()
            submission = _submission(tenant, "a", f"key-{number}")
            self.accepted[await self.submit_one(submission)] = submission
            self.longest_wait_s[tenant] = max(self.longest_wait_s[tenant], monotonic() - asked_s)
            number += 1
            await asyncio.sleep(PAUSE_S)


class Scene:
    """Gateway, reaper and two stages on any topology."""

    def __init__(self, url: str, data_dir: Path, partitions: int = 4) -> None:
        values = {
            "data_dir": str(data_dir),
            "redis.url": url,
            "redis.partitions": partitions,
            "kernel.lease_s": 3.0,
            "kernel.beat_s": 0.5,
            "reaper.interval_s": 0.3,
            "reaper.reconcile_s": 1.0,
            "gateway.key": KEY,
            "gateway.port": 0,
            "storage.min_free_bytes": 0,
        }
        self.settings = load({}, overrides=values)
        self.partitions = Partitions(partitions)
        self.options = kernel_options(self.settings)
        self.first, self.second = Scripted(_first, "a"), Scripted(_second, "b")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        house = Installation(self.settings.redis.url, self.options, self.partitions.count)
        self.client = connect(redis_options(self.settings))
        self.gateway = GatewayService(self.settings)
        reaper = Reaper(self.settings, storage_of(self.settings))
        actors = [house.actor(self.first, concurrency=8), house.actor(self.second, concurrency=8)]
        services: list[Service] = [self.gateway, reaper, *actors]
        for service in services:
            await service.start()
        try:
            for service in services:
                await service.ready()
            yield Load(Submitter(self.client, self.partitions, self.options), self.tenants())
        finally:
            for service in reversed(services):
                await service.stop()
            await self.client.aclose()
            await house.client.aclose()

    def tenants(self) -> list[str]:
        """One of each partition; TENANT is among them."""
        found = {self.partitions.of_tenant(TENANT): TENANT}
        number = 0
        while len(found) < self.partitions.count:
            found.setdefault(self.partitions.of_tenant(f"t{number}"), f"t{number}")
            number += 1
        return list(found.values())

    async def check(self, load: Load, within_s: float = 40.0) -> int:
        """Every job that was answered exists or is made again by the same key, and all end; returns how many are new.

        Nothing was started twice under one fence, so no path has two writers, and what is published was written.
        """
        again = 0
        for job, submission in list(load.accepted.items()):
            if await read_job(self.client, self.partitions, job) is None:
                del load.accepted[job]
                load.accepted[await load.submit_one(submission)] = submission
                again += 1
        for job in load.accepted:
            await self._completed(job, within_s)
        for handler in (self.first, self.second):
            assert len(set(handler.started)) == len(handler.started)
        return again

    async def _completed(self, job: str, within_s: float) -> None:
        async def there() -> bool:
            seen = await read_job(self.client, self.partitions, job)
            assert seen is not None
            if seen.state != State.COMPLETED:
                return False
            assert seen.result is not None
            _, _, fence = read_body(Result, seen.result).path.split("/")
            assert (job, fence) in self.second.started
            return True

        await eventually(there, within_s, lambda: f"{job} did not complete")


async def _first(task: Task) -> Next:
    return Next("b", b"{}")


async def _second(task: Task) -> Done:
    return Done(encode(Result(path=f"out/{task.job}/{task.fence}", outputs=())))
