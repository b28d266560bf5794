"""What becomes of the files of deleted jobs, and that nothing else goes with them.

Files are looked at and not folders: a collector that just met one without its manifest may note that in it anew, and
deletes it with its note when its time has come.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from actors.kernel.items import Commit, Grant
from actors.kernel.scripts import text
from actors.media.task import JobSpec, Manifest, Result, encode
from actors.storage.local import LocalStorage
from tests.actors.reaping import World, world

__all__ = ["world"]

SPEC = JobSpec(source="https://example.com/a", format="mp3")


class BrokenStorage(LocalStorage):
    """Storage on a disk that fails."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.calls = 0
        self.asked_twice = asyncio.Event()
        """What followed from the first time has been done."""

    async def delete(self, key: str) -> None:
        self.calls += 1
        if self.calls == 2:
            self.asked_twice.set()
        raise OSError(5, "Input/output error")


async def publish(world: World, storage: LocalStorage, grant: Grant) -> str:
    """The job completes with a result; what it worked on is still there."""
    await storage.write_atomic(f"work/{grant.job}/{grant.fence}/source", b"data")
    folder = await publish_late(storage, grant.job, grant.fence)
    result = encode(Result(path=folder, outputs=()))
    (end,) = await world.worker.commit("00", [Commit(grant.job, grant.fence, "done", "", "", result)])
    assert end == "OK"
    return folder


async def publish_late(storage: LocalStorage, job: str, fence: str) -> str:
    folder = f"out/{job}/{fence}"
    await storage.write_atomic(f"{folder}/output.mp3", b"data")
    manifest = Manifest(job=job, tenant="default", spec=SPEC, outputs=(), created_at=datetime.now(UTC))
    await storage.write_atomic(f"{folder}/manifest.json", encode(manifest))
    return folder


async def until_swept(world: World, key: str) -> None:
    async with asyncio.timeout(10):
        while await world.client.exists(key):  # noqa: ASYNC110 - the reaper sends no event
            await asyncio.sleep(0.01)


async def test_a_deleted_job_leaves_no_file_and_takes_none_of_others(world: World) -> None:
    storage = LocalStorage(world.settings.data_dir / "storage")
    jobs = [await world.submit() for _ in range(2)]
    grants = [await world.take() for _ in jobs]
    (gone, kept) = [await publish(world, storage, grant) for grant in grants]
    await storage.write_atomic("uploads/u00-01jd0000000000000000000001/data", b"data")
    assert (await world.submitter.delete(grants[0].job)).outcome == "ok"
    await world.reap()
    await until_swept(world, world.keys.sweeps)
    assert not await storage.exists(f"{gone}/output.mp3")
    assert not await storage.exists(f"{gone}/manifest.json")
    assert not await storage.exists(f"work/{grants[0].job}/{grants[0].fence}/source")
    assert await storage.exists(f"{kept}/output.mp3")
    assert await storage.exists("uploads/u00-01jd0000000000000000000001/data")
    assert [text(job) for job in await world.client.zrange(world.keys.deleted, 0, -1)] == [grants[0].job]


async def test_what_a_late_worker_publishes_is_swept_as_well(world: World) -> None:
    storage = LocalStorage(world.settings.data_dir / "storage")
    await world.submit()
    grant = await world.take()
    await publish(world, storage, grant)
    await world.submitter.delete(grant.job)
    await world.reap()
    await until_swept(world, world.keys.sweeps)
    late = await publish_late(storage, grant.job, "9.late")
    long_ago_ms = 1
    await world.client.zadd(world.keys.deleted, {grant.job: long_ago_ms})
    await until_swept(world, world.keys.deleted)
    assert not await storage.exists(f"{late}/output.mp3")


async def test_storage_that_fails_only_delays(world: World) -> None:
    root = world.settings.data_dir / "storage"
    await world.submit()
    grant = await world.take()
    folder = await publish(world, LocalStorage(root), grant)
    await world.submitter.delete(grant.job)
    broken = BrokenStorage(root)
    await world.reap(broken)
    async with asyncio.timeout(10):
        await broken.asked_twice.wait()
    assert await world.client.smembers(world.keys.sweeps) == {grant.job.encode()}
    await world.reap()
    await until_swept(world, world.keys.sweeps)
    assert not await LocalStorage(root).exists(f"{folder}/output.mp3")


async def test_the_reaper_goes_on_where_a_client_stopped_asking(world: World) -> None:
    """A batch of more jobs than one call forgets, whose gateway died in between."""
    await world.client.sadd(world.keys.sweeps, "j00-parent")
    await world.client.hset(
        world.keys.job("j00-parent"),
        mapping={
            "state": "failed", "stage": "fetch", "tenant": "default", "deadline": 1, "rev": 1,
            "extra": 1, "children": 0, "kind": "batch", "listed": 0, "deleted": 1,
        },
    )  # fmt: skip
    await world.reap()
    await until_swept(world, world.keys.job("j00-parent"))
    await until_swept(world, world.keys.sweeps)
