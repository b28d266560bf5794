"""The reaper as a service against a real Redis: what is late, lost or over, with one reaper or several."""

import asyncio
from pathlib import Path

import msgspec
import redis.asyncio
import structlog

from actors.kernel.items import Commit, Fail
from actors.media.task import Result, encode
from actors.settings import load
from actors.storage.local import LocalStorage
from tests.actors.reaping import World, world
from tests.conftest import RedisServer

__all__ = ["world"]

ERROR = b'{"code":"NET_TEMP","message":"m","suggestion":"s","retryable":true}'
REASON = b'{"code":"NET_TEMP","message":"m"}'


class BrokenStorage(LocalStorage):
    """Storage on a disk that fails."""

    async def delete(self, key: str) -> None:
        raise OSError(5, "Input/output error")


async def test_delayed_jobs_are_queued_when_their_time_has_come(world: World) -> None:
    await world.reap()
    job = await world.submit()
    grant = await world.take()
    await world.worker.fail("00", [Fail(job, grant.fence, "transient", 150, 3, ERROR, REASON)])
    assert (await world.state(job, "queued")).attempt == 1


async def test_three_reapers_end_a_lost_lease_once(world: World) -> None:
    for _ in range(3):
        await world.reap()
    job = await world.submit()
    await world.take()
    view = await world.state(job, "queued")
    assert view.crashes == 1
    entries = await world.client.xlen(world.keys.inbox("fetch", "cpu", "again"))
    assert entries == 1


async def test_an_interval_longer_than_the_lease_still_ends_leases(world: World) -> None:
    longer = msgspec.structs.replace(world.settings.reaper, interval_s=30.0)
    world.settings = msgspec.structs.replace(world.settings, reaper=longer)
    await world.reap()
    job = await world.submit()
    await world.take()
    assert (await world.state(job, "queued")).crashes == 1


async def test_a_new_reaper_watches_before_it_ends_a_lease(world: World) -> None:
    job = await world.submit()
    await world.take()
    await asyncio.sleep(0.6)  # the lease has run out before there is any reaper
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    await world.reap()
    await world.state(job, "queued")
    assert loop.time() - started_s >= 0.5


async def test_a_worker_that_is_lost_again_and_again_costs_the_job(world: World) -> None:
    await world.reap()
    job = await world.submit()
    for crashes in (1, 2, 3):
        await world.take()
        await world.until(job, lambda view, crashes=crashes: view is not None and view.crashes == crashes)  # type: ignore[misc]
    view = await world.state(job, "failed")
    assert view.error is not None
    assert b"CRASH_LOOP" in view.error


async def test_deadlines_end_jobs_in_any_state(world: World) -> None:
    await world.reap()
    running = await world.submit(deadline_s=0.3)
    await world.take()
    queued = await world.submit(deadline_s=0.3)
    for job in (running, queued):
        assert (await world.until(job, lambda view: view is not None and view.state == "expired")) is not None


async def test_finished_jobs_are_forgotten_with_their_files_but_not_their_result(world: World, tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "storage")
    job = await world.submit()
    grant = await world.take()
    await storage.write_atomic(f"work/{job}/{grant.fence}/source", b"data")
    await storage.write_atomic(f"out/{job}/{grant.fence}/output.mp3", b"data")
    result = encode(Result(path=f"out/{job}/{grant.fence}", outputs=()))
    await world.worker.commit("00", [Commit(job, grant.fence, "done", "", "", result)])
    await world.reap()
    await world.until(job, lambda view: view is None)
    assert not await storage.exists(f"work/{job}")
    assert await storage.exists(f"out/{job}/{grant.fence}/output.mp3")


async def test_a_lost_hint_is_made_anew(world: World) -> None:
    job = await world.submit()
    await world.client.delete(world.keys.inbox("fetch", "cpu", "normal"))
    await world.reap()
    async with asyncio.timeout(10.0):
        while not await world.client.xlen(world.keys.inbox("fetch", "cpu", "normal")):  # noqa: ASYNC110 - Redis is asked
            await asyncio.sleep(0.01)
    assert (await world.take()).job == job


async def test_broken_storage_stops_no_pass(world: World, tmp_path: Path) -> None:
    done = await world.submit()
    grant = await world.take()
    result = encode(Result(path="out/x/1.a", outputs=()))
    await world.worker.commit("00", [Commit(done, grant.fence, "done", "", "", result)])
    await world.reap(BrokenStorage(tmp_path / "storage"))
    lost = await world.submit()
    await world.take()
    assert (await world.state(lost, "queued")).crashes == 1
    await world.until(done, lambda view: view is None)


async def test_a_duty_that_cannot_be_done_stops_no_other(world: World) -> None:
    await world.client.set("rw:{p00}:quarantine", "not what it should be")
    with structlog.testing.capture_logs() as lines:
        await world.reap()
        job = await world.submit()
        await world.take()
        assert (await world.state(job, "queued")).crashes == 1
    refused = [line for line in lines if line["event"] == "reaper.duty_refused"]
    assert {line["duty"] for line in refused} == {"survey"}
    assert len(refused) == 1, "it is tried again at its own pace"


async def test_a_reaper_goes_on_after_redis_was_away(own_redis_server: RedisServer, tmp_path: Path) -> None:
    settings = load(
        {
            "REELWAY_REDIS_URL": own_redis_server.url,
            "REELWAY_PARTITIONS": "1",
            "REELWAY_DATA_DIR": str(tmp_path),
            "REELWAY_KERNEL_LEASE_S": "0.5",
            "REELWAY_KERNEL_BEAT_S": "0.1",
            "REELWAY_REAPER_INTERVAL_S": "0.05",
        }
    )
    client = redis.asyncio.Redis.from_url(own_redis_server.url)
    other = World(client, settings)
    try:
        await other.reap()
        job = await other.submit()
        await other.take()
        own_redis_server.kill()
        own_redis_server.start()
        await client.connection_pool.disconnect()
        assert (await other.state(job, "queued")).crashes == 1
    finally:
        await other.stop()
        await client.aclose()
