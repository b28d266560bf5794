"""What the reaper's tests run: one worker, any number of reapers, and the jobs between them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import redis.asyncio

from actors.kernel import JobView, KernelOptions, Partitions, Submission, Submitter, Worker, new_nonce, read_job
from actors.kernel.items import Grant
from actors.media.task import JobSpec, encode
from actors.reaper import Reaper
from actors.settings import Settings, load
from actors.storage import Storage
from actors.storage.local import LocalStorage

SPEC = encode(JobSpec(source="https://example.com/a", format="mp3"))


class World:
    """One worker and any number of reapers."""

    def __init__(self, client: redis.asyncio.Redis, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self.options = KernelOptions(lease_s=0.5, beat_s=0.1, retention_s=0.3)
        self.partitions = Partitions(1)
        self.keys = self.partitions.keys("00")
        self.submitter = Submitter(client, self.partitions, self.options)
        self.worker = Worker(client, self.partitions, self.options, "tester")
        self.reapers: list[Reaper] = []

    async def reap(self, storage: Storage | None = None) -> Reaper:
        reaper = Reaper(self.settings, storage or LocalStorage(self.settings.data_dir / "storage"))
        await reaper.start()
        self.reapers.append(reaper)
        await asyncio.wait_for(reaper.ready(), 5.0)
        return reaper

    async def stop(self) -> None:
        for reaper in self.reapers:
            await reaper.stop()

    async def submit(self, deadline_s: float | None = None) -> str:
        submission = Submission(tenant="default", stage="fetch", spec=SPEC, input=b"{}", deadline_s=deadline_s)
        return (await self.submitter.submit(submission)).job

    async def take(self) -> Grant:
        inboxes = [self.keys.inbox("fetch", "cpu", name) for name in ("again", "alone", "normal")]
        (grant,) = (await self.worker.take("00", inboxes, 1, new_nonce())).grants
        return grant

    async def until(self, job: str, condition: Callable[[JobView | None], bool]) -> JobView | None:
        async with asyncio.timeout(10.0):
            while True:
                view = await read_job(self.client, self.partitions, job)
                if condition(view):
                    return view
                await asyncio.sleep(0.01)

    async def state(self, job: str, state: str) -> JobView:
        view = await self.until(job, lambda view: view is not None and view.state == state)
        assert view is not None
        return view


@pytest.fixture
async def world(redis_url: str, redis_client: redis.asyncio.Redis, tmp_path: Path) -> AsyncIterator[World]:
    settings = load(
        {
            "REELWAY_REDIS_URL": redis_url,
            "REELWAY_PARTITIONS": "1",
            "REELWAY_DATA_DIR": str(tmp_path),
            "REELWAY_KERNEL_LEASE_S": "0.5",
            "REELWAY_KERNEL_BEAT_S": "0.1",
            "REELWAY_KERNEL_RETENTION_S": "0.3",
            "REELWAY_REAPER_INTERVAL_S": "0.05",
            "REELWAY_REAPER_RECONCILE_S": "0.1",
        }
    )
    made = World(redis_client, settings)
    yield made
    await made.stop()
