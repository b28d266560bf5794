"""Moments that a stream could fall through: around its snapshot, behind its log, under a flood, without a key."""

import time

import pytest
import redis.asyncio

from actors.kernel import Beat, KernelOptions, Partitions
from gateway.http.service import GatewayService
from gateway.streams.reader import JobReader, Reading
from tests.gateway.conftest import OpenStream, StartGateway, client_of
from tests.gateway.pausing import paused
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.sse_client import SseClient


async def test_an_event_that_the_tail_brings_after_the_snapshot_held_it_is_dropped(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await worker.submit()
    async with paused(gateway, monkeypatch):
        grant = await worker.take("ingest")
        stream = await open_stream(gateway, job)
        assert (await stream.until("snapshot")).rev == 2
    await worker.next(grant, "fetch")
    assert (await stream.next()).rev == 3, "and not 2 again"


async def test_a_late_joiner_misses_nothing_while_another_moves_on(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process has one place in the feed for all: what the first was shown is not gone for the second."""
    job = await worker.submit()
    first = await open_stream(gateway, job)
    await first.until("snapshot")
    read = JobReader.read

    async def slowly(self: JobReader, wanted: str) -> Reading:
        """The second has registered, and reads before and after the first is shown what happens."""
        reading = await read(self, wanted)
        grant = await worker.take("ingest")
        await worker.next(grant, "fetch")
        assert (await first.until("job.stage")).rev == 3
        return reading

    with monkeypatch.context() as patched:
        patched.setattr(JobReader, "read", slowly)
        second = await open_stream(gateway, job)
        assert (await second.until("snapshot")).rev == 1
    assert [(await second.next()).rev for _ in range(2)] == [2, 3]


async def test_what_a_watcher_missed_is_read_from_the_log_and_is_no_resync(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    hub = gateway.context.hub
    with monkeypatch.context() as patched:
        patched.setattr(hub, "event", lambda _event: None)
        grant = await worker.take("ingest")
        await eventually(lambda: gateway.context.pump.events == 2)
    await worker.next(grant, "fetch")
    assert [((frame := await stream.next()).event, frame.rev) for _ in range(2)] == [
        ("job.started", 2),
        ("job.stage", 3),
    ]


async def test_a_hole_is_told_even_where_the_log_has_everything(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    """What was shown before it may be undone."""
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    await worker.take("ingest")
    await stream.until("job.started")
    gateway.context.hub.lose("00")
    assert (await stream.next()).event == "resync"


async def test_a_job_that_has_become_another_tenants_is_shown_no_longer(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, redis_client: redis.asyncio.Redis
) -> None:
    """As after a restore: nothing is shown that who watches could not open now."""
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    await redis_client.hset(worker.partitions.keys("00").job(job), "tenant", "another")
    gateway.context.hub.lose("00")
    end = await stream.next()
    assert (end.event, end.data) == ("end", {"job": job, "state": None})


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_job_that_ends_around_the_snapshot_is_told_once_and_the_stream_ends(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    job = await worker.submit()
    read = JobReader.read

    async def end(self: JobReader, wanted: str) -> Reading:
        reading = await read(self, wanted) if when == "after" else None
        await worker.submitter.cancel(job, "test")
        await eventually(lambda: gateway.context.pump.events == 2)
        return reading or await read(self, wanted)

    monkeypatch.setattr(JobReader, "read", end)
    stream = await open_stream(gateway, job)
    await stream.rest()
    assert stream.events() == ["snapshot", "job.cancelled", "end"]


async def test_waiting_for_a_job_that_ends_before_the_wait_begins(
    gateway: GatewayService, worker: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await worker.submit()
    read = JobReader.read

    async def end(self: JobReader, wanted: str) -> Reading:
        reading = await read(self, wanted)
        await worker.submitter.cancel(job, "test")
        return reading

    monkeypatch.setattr(JobReader, "read", end)
    began_s = time.monotonic()
    async with client_of(gateway) as api, api.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=20"}) as response:
        assert (await response.json())["state"] == "cancelled"
    assert time.monotonic() - began_s < 5


async def test_a_cursor_that_has_left_the_jobs_log_is_told(
    start_gateway: StartGateway, redis_client: redis.asyncio.Redis, partitions: Partitions, open_stream: OpenStream
) -> None:
    gateway = await start_gateway(gateway__ring_events=0)
    worker = ScriptedWorker(redis_client, partitions, KernelOptions(window=1000, log_length=3))
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    cursor = stream.cursor
    stream.abort()
    ingest = await worker.take("ingest")
    await worker.next(ingest, "fetch")
    within = await open_stream(gateway, job, cursor)
    assert [(await within.next()).event for _ in range(3)] == [None, "job.started", "job.stage"]
    await worker.take("fetch")
    beyond = await open_stream(gateway, job, cursor)
    assert [(await beyond.next()).event for _ in range(2)] == [None, "resync"]
    assert beyond.frames[-1].rev == 4


async def test_a_feed_trimmed_past_a_clients_cursor_costs_it_nothing(
    start_gateway: StartGateway, worker: ScriptedWorker, redis_client: redis.asyncio.Redis, open_stream: OpenStream
) -> None:
    """A job's watcher resumes from the job's own log."""
    first = await start_gateway()
    job = await worker.submit()
    stream = await open_stream(first, job)
    await stream.until("snapshot")
    stream.abort()
    await worker.take("ingest")
    await redis_client.xtrim(worker.partitions.keys("00").feed, maxlen=0, approximate=False)
    again = await open_stream(await start_gateway(), job, stream.cursor)
    assert [(await again.next()).event for _ in range(2)] == [None, "job.started"]


async def test_a_feed_that_lost_its_end_and_went_on_is_told(
    gateway: GatewayService,
    worker: ScriptedWorker,
    redis_client: redis.asyncio.Redis,
    open_stream: OpenStream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failover: the new primary never had the last events, and has made others since, with higher ids."""
    job = await worker.submit()
    saved = {name: await redis_client.dump(name) for name in await redis_client.keys("*")}
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    grant = await worker.take("ingest")
    await worker.next(grant, "fetch")
    await stream.until("job.stage")
    async with paused(gateway, monkeypatch):
        await redis_client.flushall()
        for name, value in saved.items():
            await redis_client.restore(name, 0, value or b"")
        grant = await worker.take("ingest")
        await worker.next(grant, "fetch")
        fetch = await worker.take("fetch")
    frame = await stream.until("resync")
    assert frame.rev == 4
    assert [one.event for one in stream.frames[-2:]] == ["job.stage", "resync"], "nothing of the other end in between"
    await worker.next(fetch, "transcode")
    assert (await stream.next()).rev == 5


async def test_fifty_thousand_reports_evict_no_end(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pump stands still meanwhile, and the pulse holds ten thousand."""
    jobs = [await worker.submit() for _ in range(50)]
    streams: list[SseClient] = []
    for job in jobs:
        streams.append(await open_stream(gateway, job))
        await streams[-1].until("snapshot")
    grants = [await worker.take("ingest") for _ in jobs]
    async with paused(gateway, monkeypatch):
        for number in range(1000):
            beats = [Beat(grant.job, grant.fence, number / 20, b'{"stage":"ingest"}') for grant in grants]
            await worker.worker.beat("00", beats)
        for grant in grants:
            await worker.fail(grant)
    for stream in streams:
        await stream.rest()
        durable = [name for name in stream.events() if name != "job.progress"]
        assert durable == ["snapshot", "job.started", "job.failed", "end"]
    assert gateway.context.pump.holes == 0


@pytest.mark.parametrize("key", ["", "rw_another-key"])
async def test_an_old_cursor_opens_nothing_without_the_key(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, key: str
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    await worker.run(job)
    again = await SseClient.open(gateway.port, job, key, stream.cursor)
    assert again.status == 401
    assert (await open_stream(gateway, job, stream.cursor)).status == 200
    again.abort()


async def test_streams_are_not_in_the_times_of_requests(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    async with client_of(gateway) as api:
        async with api.get("/metrics") as response:
            assert 'reelway_gateway_streams{transport="sse"} 1.0' in (await response.text()).splitlines()
        await worker.run(job)
        await stream.rest()
        await eventually(lambda: not len(gateway.context.streams))
        async with api.get(f"/v1/jobs/{job}/events") as response:
            assert response.status == 200
        async with api.get(f"/v1/jobs/{job}") as response:
            assert response.status == 200
        async with api.get("/metrics") as response:
            lines = (await response.text()).splitlines()
    assert 'reelway_gateway_stream_seconds_count{transport="sse"} 1.0' in lines
    assert 'reelway_gateway_streams{transport="sse"} 0.0' in lines
    timed = [line for line in lines if line.startswith("reelway_gateway_request_seconds_count")]
    assert [line for line in timed if '{job}"' in line], "requests are"
    assert not [line for line in timed if "events" in line or "/v1/ws" in line]
