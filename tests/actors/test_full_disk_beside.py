"""What lies beside the storage on a full disk: the log of deliveries, the file of Redis, the workers' own logs."""

import asyncio
import json
from pathlib import Path

import pytest
import redis.asyncio
from aiohttp import web

from actors.kernel import RedisOptions, connect, means_wait
from actors.media.task import JobSpec
from actors.native import find_native
from actors.notify import Notify
from tests.actors.fault_server import FaultServer, File
from tests.actors.roles import Roles
from tests.actors.stages_on_disk import MIB, Stages
from tests.actors.tasks import make_task
from tests.actors.test_stages import delivery
from tests.conftest import RedisServer
from tests.kernel.stages import eventually, server_ms
from tests.media_samples import MediaFactory
from tests.small_disk import SmallDisk

needs_native = pytest.mark.skipif(find_native() is None, reason="reelway-transcode is not built")


async def test_a_delivery_waits_for_a_full_disk_and_no_line_is_torn(stages: Stages, small_disk: SmallDisk) -> None:
    log = small_disk.path / "notify.log"
    await stages.start("notify", notify__log=str(log))
    # Of a tenant without endpoints: these jobs are deliveries, whose ends are told to nobody.
    first = await stages.submit("notify", delivery(), tenant="other")
    await stages.cluster.until(first, lambda view: view.state == "completed")
    line = log.read_bytes()
    # The next line would cross the end of the log's last page.
    with log.open("ab") as file:
        while file.tell() % 4096 != 4096 - len(line) // 2:
            file.write(b"\n")
    size_bytes = log.stat().st_size
    small_disk.fill()
    second = await stages.submit("notify", delivery(), tenant="other")
    await stages.waits_for_room(second)
    assert log.stat().st_size == size_bytes
    small_disk.empty()
    await stages.go_on(second, lambda view: view.state == "completed")
    told = [json.loads(row)["delivery"] for row in log.read_bytes().splitlines() if row]
    assert told == [first, second]


async def test_a_line_that_a_killed_writer_left_half_stands_in_nobodys_way(tmp_path: Path) -> None:
    log = tmp_path / "notify.log"
    log.write_bytes(b'{"delivery":"j00-x","ev')
    task, _ = make_task("notify", JobSpec(source="", format=""), delivery(), kind="delivery")
    await Notify(log).handle(task)
    half, whole = log.read_bytes().splitlines()
    assert half == b'{"delivery":"j00-x","ev'
    assert json.loads(whole)["delivery"] == task.job


@needs_native
async def test_a_redis_that_cannot_write_its_file_makes_everybody_wait(
    small_disk: SmallDisk, server: FaultServer, media_factory: MediaFactory, tmp_path: Path
) -> None:
    """It refuses writes for longer than a lease: the running stage goes on, nobody is reaped, nothing is charged."""
    data = media_factory.clip().read_bytes()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        begun.set()
        await go_on.wait()
        return await File(data)(request)

    server.routes["/clip.mp4"] = slow
    redis_server = RedisServer("--dir", str(small_disk.path), "--appendfsync", "everysec")
    redis_server.start()
    client = connect(RedisOptions(url=redis_server.url))
    stages = Stages(client, redis_server.url, tmp_path / "data")
    times = {"kernel__lease_s": 1.0, "kernel__beat_s": 0.25, "reaper__interval_s": 0.1}
    try:
        for role in ("reaper", "fetch"):
            await stages.start(role, **times)
        job = await stages.fetch(server.url("/clip.mp4"))
        await asyncio.wait_for(begun.wait(), 20)
        small_disk.fill()
        await eventually(lambda: refuses(client), 20)
        lease_until_ms = int(await client.zscore("rw:{p00}:leases", job) or 0)
        await eventually(lambda: passed(client, lease_until_ms + 500), 20)
        waiting = asyncio.create_task(stages.fetch(server.url("/clip.mp4")))
        go_on.set()
        assert await refuses(client)
        small_disk.empty()
        for each in (job, await waiting):
            view = await stages.cluster.until(each, lambda view: view.stage == "transcode")
            assert (view.takes, view.attempt, view.crashes) == (1, 0, 0)
    finally:
        await stages.stop()
        await client.aclose()
        redis_server.stop()


async def refuses(client: redis.asyncio.Redis) -> bool:
    """Whether the server refuses writes, in the words that make callers wait."""
    calls = client.pipeline(transaction=False)
    calls.set("a-key-of-the-test", 1)
    (answer,) = await calls.execute(raise_on_error=False)
    return isinstance(answer, redis.ResponseError) and "MISCONF" in str(answer) and means_wait(answer)


async def passed(client: redis.asyncio.Redis, at_ms: int) -> bool:
    return await server_ms(client) >= at_ms


async def test_a_log_on_the_full_disk_stops_no_worker(
    stages: Stages, redis_url: str, small_disk: SmallDisk, server: FaultServer
) -> None:
    """As in embedded mode, whose log lies beside the storage: every line of the worker fails, too."""
    server.routes["/clip.mp4"] = File(b"\0" * MIB, length=False)
    roles = Roles(redis_url, small_disk.path)
    try:
        await roles.start("fetch", REELWAY_STORAGE_MIN_FREE_BYTES="0")
        with roles.log.open("ab") as log:
            log.write(b"\n" * (-log.tell() % 4096))  # to the end of its last page
        small_disk.fill()
        jobs = [await stages.fetch(server.url("/clip.mp4")) for _ in range(3)]
        for job in jobs:
            await stages.waits_for_room(job)
            assert stages.left("work", job) == []
    finally:
        await roles.stop()
