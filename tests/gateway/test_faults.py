"""What breaks under a stream, and what its watcher is told: Redis goes and comes, feeds are trimmed and replaced."""

import asyncio
import time
from typing import Any

import pytest
import redis.asyncio

from actors.kernel import Partitions, end_tasks
from gateway.http.health import readiness_of
from gateway.http.service import GatewayService
from gateway.streams.hub import Hub, job_topic
from gateway.streams.pump import Pump
from gateway.streams.ring import Ring
from tests.gateway.conftest import OpenStream, StartGateway, client_of
from tests.gateway.events import feed_entry
from tests.gateway.pausing import paused
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.test_ring_and_hub import Listener


async def test_the_cursor_is_always_a_concrete_id(
    redis_client: redis.asyncio.Redis, partitions: Partitions, worker: ScriptedWorker
) -> None:
    """Between two blocking reads that time out, nothing falls through: 200 of 200 arrive."""
    hub = Hub({"00": Ring(1000, 1 << 20)})
    listener = Listener()
    pump = Pump(redis_client, partitions, hub, feed_length=100_000, block_ms=2)
    task = asyncio.create_task(pump.run())
    await pump.started.wait()
    jobs = []
    for number in range(200):
        jobs.append(worker.partitions.new_id("default"))
        hub.watch(job_topic(jobs[-1]), listener)
        await worker.submit(job=jobs[-1])
        if number % 3 == 0:
            await asyncio.sleep(0.003)
    await eventually(lambda: len(listener.heard) == 200)
    assert [item.job for item in listener.heard] == jobs
    await end_tasks([task])
    assert pump.holes == 0


async def test_the_pump_starts_at_the_end_and_not_at_the_beginning(
    redis_client: redis.asyncio.Redis, worker: ScriptedWorker, start_gateway: StartGateway
) -> None:
    await worker.submit()
    gateway = await start_gateway()
    assert gateway.context.pump.events == 0
    await worker.submit()
    await eventually(lambda: gateway.context.pump.events == 1)
    assert gateway.context.pump.holes == 0


async def _trim(client: redis.asyncio.Redis, worker: ScriptedWorker) -> None:
    await client.xtrim(worker.partitions.keys("00").feed, maxlen=0, approximate=False)


async def _delete_feed(client: redis.asyncio.Redis, worker: ScriptedWorker) -> None:
    await client.delete(worker.partitions.keys("00").feed)


async def _change_epoch(client: redis.asyncio.Redis, worker: ScriptedWorker) -> None:
    await client.set(worker.partitions.keys("00").epoch, "another")


async def _lose_epoch(client: redis.asyncio.Redis, worker: ScriptedWorker) -> None:
    await client.delete(worker.partitions.keys("00").epoch)


@pytest.mark.parametrize("break_", [_trim, _delete_feed, _change_epoch, _lose_epoch])
async def test_a_feed_that_cannot_be_continued_is_told(
    gateway: GatewayService,
    worker: ScriptedWorker,
    redis_client: redis.asyncio.Redis,
    open_stream: OpenStream,
    monkeypatch: pytest.MonkeyPatch,
    break_: Any,
) -> None:
    """Events are lost to the pump while it is away; the watcher gets the whole job again, and then the tail."""
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    grant = await worker.take("ingest")
    await stream.until("job.started")
    pump = gateway.context.pump
    async with paused(gateway, monkeypatch):
        await worker.next(grant, "fetch")
        fetch = await worker.take("fetch")
        await break_(redis_client, worker)
        if break_ is _trim:
            await worker.submit()
    frame = await stream.until("resync")
    assert pump.holes == 1
    assert frame.data["data"]["stage"] == "fetch"
    assert frame.rev == 4
    await worker.next(fetch, "transcode")
    assert (await stream.until("job.stage")).rev == 5
    await worker.submitter.cancel(job, "test")
    assert [one.event for one in await stream.rest()] == ["job.cancelled", "end"]
    assert pump.holes == 1


async def test_what_was_read_before_a_hole_was_found_is_not_handed_on(
    gateway: GatewayService, worker: ScriptedWorker, redis_client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pump stands behind it already: it would be told out of order, or under the name of another feed."""
    await worker.submit()
    pump = gateway.context.pump
    await eventually(lambda: pump.events == 1)
    async with paused(gateway, monkeypatch):
        await _trim(redis_client, worker)
        await worker.submit()
    await eventually(lambda: pump.holes == 1)
    listener = Listener()
    job = worker.partitions.new_id("default")
    gateway.context.hub.watch(job_topic(job), listener)
    await worker.submit(job=job)
    await eventually(lambda: len(listener.heard) == 1)
    assert pump.events == 2


@pytest.mark.parametrize("with_its_proof", [True, False])
async def test_a_feed_that_is_trimmed_while_it_is_read_is_told(
    start_gateway: StartGateway,
    worker: ScriptedWorker,
    redis_client: redis.asyncio.Redis,
    open_stream: OpenStream,
    *,
    with_its_proof: bool,
) -> None:
    """The entry that the read began at was there when it was sent, and is not when it is answered. With a read that is
    sent just behind another without events no proof travels."""
    job = await worker.submit()
    grant = await worker.take("ingest")
    gateway = await start_gateway()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    if not with_its_proof:
        await worker.beat(grant, 1.0)
        await stream.until("job.progress")

    async def is_reading() -> bool:
        return any(one["cmd"] == "xread" and "b" in one["flags"] for one in await redis_client.client_list())

    while not await is_reading():
        pass
    feed = worker.partitions.keys("00").feed
    async with redis_client.pipeline(transaction=True) as pipeline:
        for rev in (3, 4):
            pipeline.xadd(feed, feed_entry(rev, job))
        pipeline.xtrim(feed, maxlen=1, approximate=False)
        await pipeline.execute()
    await stream.until("resync")
    assert gateway.context.pump.holes == 1


@pytest.mark.parametrize(("added", "kept", "heard"), [(2, 2, [1, 2]), (4, 3, [])])
async def test_a_feed_that_begins_is_read_whole_while_no_entry_can_be_missing(
    redis_client: redis.asyncio.Redis, partitions: Partitions, added: int, kept: int, heard: list[int]
) -> None:
    """There is no entry that the pump could ask for; as long as the feed may be is as long as one that was trimmed."""
    hub = Hub({"00": Ring(1000, 1 << 20)})
    listener = Listener()
    job = partitions.new_id("default")
    hub.watch(job_topic(job), listener)
    pump = Pump(redis_client, partitions, hub, feed_length=3, block_ms=50)
    task = asyncio.create_task(pump.run())
    await pump.started.wait()
    feed = partitions.keys("00").feed
    async with redis_client.pipeline(transaction=True) as pipeline:
        for rev in range(1, added + 1):
            pipeline.xadd(feed, feed_entry(rev, job))
        pipeline.xtrim(feed, maxlen=kept, approximate=False)
        await pipeline.execute()
    await eventually(lambda: bool(listener.heard or listener.lost))
    await end_tasks([task])
    assert [item.rev for item in listener.heard] == heard
    assert listener.lost == pump.holes == (0 if heard else 1)


async def test_nothing_is_lost_when_only_old_events_were_trimmed(
    gateway: GatewayService, worker: ScriptedWorker, redis_client: redis.asyncio.Redis, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    await worker.take("ingest")
    await eventually(lambda: gateway.context.pump.events == 2)
    await redis_client.xtrim(worker.partitions.keys("00").feed, maxlen=1, approximate=False)
    await worker.submitter.cancel(job, "test")
    await worker.submit()
    await eventually(lambda: gateway.context.pump.events == 3)
    # And an empty feed is whole for who has read its last entry.
    await _trim(redis_client, worker)
    (tail,) = gateway.context.pump.tails
    await tail._prove(tuple(tail._places.values()))
    assert stream.events() == ["snapshot"]
    assert gateway.context.pump.holes == 0


async def test_a_job_that_is_deleted_ends_its_streams(
    gateway: GatewayService, worker: ScriptedWorker, redis_client: redis.asyncio.Redis, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    await redis_client.flushall()
    frame = await stream.until("end")
    assert frame.data == {"job": job, "state": None}
    assert (await open_stream(gateway, job, stream.cursor)).status == 404


async def test_redis_restarts_in_the_middle(
    own_redis_server: Any, own_redis_client: redis.asyncio.Redis, partitions: Partitions, start_gateway: StartGateway,
    open_stream: OpenStream,
) -> None:  # fmt: skip
    gateway = await start_gateway(redis__url=own_redis_server.url)
    worker = ScriptedWorker(own_redis_client, partitions)
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    grant = await worker.take("ingest")
    await stream.until("job.started")
    own_redis_server.kill()
    await eventually(lambda: not gateway.context.pump.connected)
    readiness = await readiness_of(gateway.context)
    assert (readiness.ready, readiness.redis) == (False, False)
    # Meanwhile a new stream is turned away with 200, and other requests are told to come back.
    shed = await open_stream(gateway, job, stream.cursor + "1" if stream.cursor else None)
    assert shed.status == 200
    began_s = time.monotonic()
    crowd = await asyncio.gather(*(open_stream(gateway, f"{job}{n}") for n in range(150)))
    assert {one.status for one in crowd} == {200}
    assert time.monotonic() - began_s < 7, "they are turned away together, not one batch after the other"
    assert (await shed.next()).event == "reconnect"
    async with client_of(gateway) as api, api.get(f"/v1/jobs/{job}") as response:
        assert (response.status, (await response.json())["code"]) == (503, "STORE_UNAVAILABLE")
        assert int(response.headers["Retry-After"]) > 0
    own_redis_server.start()
    async with asyncio.timeout(5):
        await gateway.ready()
    await worker.next(grant, "fetch")
    assert (await stream.until("job.stage")).rev == 3
    await worker.submitter.cancel(job, "test")
    await stream.rest()
    assert stream.events() == ["snapshot", "job.started", "job.stage", "job.cancelled", "end"], "nothing was lost"


async def test_an_older_redis_comes_back(
    own_redis_server: Any, own_redis_client: redis.asyncio.Redis, partitions: Partitions, start_gateway: StartGateway,
    open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A restore: the job is at an earlier revision than the watcher has seen."""
    gateway = await start_gateway(redis__url=own_redis_server.url)
    worker = ScriptedWorker(own_redis_client, partitions)
    keys = partitions.keys("00")
    job = await worker.submit()
    saved = {name: await own_redis_client.dump(name) for name in await own_redis_client.keys("*")}
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    grant = await worker.take("ingest")
    await worker.next(grant, "fetch")
    await stream.until("job.stage")
    seen = stream.cursor
    async with paused(gateway, monkeypatch):
        await own_redis_client.flushall()
        for name, value in saved.items():
            await own_redis_client.restore(name, 0, value or b"")
    frame = await stream.until("resync")
    assert (frame.rev, frame.data["data"]["stage"]) == (1, "ingest")
    again = await open_stream(gateway, job, seen)
    assert (await again.until("resync")).rev == 1
    assert await own_redis_client.exists(keys.feed)
    await worker.take("ingest")
    assert (await stream.until("job.started")).rev == 2


async def test_a_pump_that_fails_goes_on_and_its_watchers_read_again(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    hub = gateway.context.hub
    original, broken = hub.event, True

    def event(one: Any) -> None:
        nonlocal broken
        # The terminal event: no later one could show that it is missing.
        if broken and one.terminal:
            broken = False
            raise RuntimeError("a bug")
        original(one)

    monkeypatch.setattr(hub, "event", event)
    await worker.run(job)
    await stream.rest()
    assert stream.events()[-2:] == ["job.completed", "end"]
    assert gateway.context.pump.restarts == 1
