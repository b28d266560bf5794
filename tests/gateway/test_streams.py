"""One job's SSE stream: snapshot, then tail, then the end; and every way to come back."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from gateway.http.service import GatewayService
from gateway.streams.reader import JobReader, Reading
from tests.gateway.conftest import OpenStream, StartGateway
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import STAGES, ScriptedWorker
from tests.gateway.sse_client import SseClient, StreamEnded

WHOLE = ["job.started", *["job.stage", "job.started"] * 3, "job.completed"]


async def test_every_stage_is_seen_in_order(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    assert (await stream.until("snapshot")).data["data"]["state"] == "queued"
    for place, stage in enumerate(STAGES):
        grant = await worker.take(stage)
        assert (await stream.until("job.started")).data["data"]["stage"] == stage
        for percent in (25 * place + 5, 25 * place + 15):
            await worker.beat(grant, percent, speed=2.5)
            shown = (await stream.until("job.progress")).data["data"]["progress"]
            assert (shown["percent"], shown["stage"], shown["speed"]) == (percent, stage, 2.5)
        if place < 3:
            await worker.next(grant, STAGES[place + 1])
        else:
            await worker.done(grant)
    rest = await stream.rest()
    assert [frame.event for frame in rest] == ["job.completed", "end"]
    assert rest[0].data["data"]["outputs"][0]["url"] == f"/v1/jobs/{job}/outputs/clip.mp3"
    assert rest[1].data == {"job": job, "state": "completed"}
    assert [name for name in stream.events() if name != "job.progress"] == ["snapshot", *WHOLE, "end"]


async def test_headers_keep_proxies_from_buffering(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    stream = await open_stream(gateway, await worker.submit())
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-store, no-transform"
    assert stream.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in stream.headers
    assert stream.headers["x-request-id"]


async def test_http_1_0_gets_a_stream_without_chunks(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job, version="1.0")
    assert "transfer-encoding" not in stream.headers
    await stream.until("snapshot")
    await worker.run(job, reports=2)
    assert [frame.event for frame in await stream.rest()][-2:] == ["job.completed", "end"]


async def test_a_finished_job_is_told_at_once(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    await worker.run(job)
    stream = await open_stream(gateway, job)
    frames = await stream.rest()
    assert stream.events() == ["snapshot", "job.completed", "end"]
    again = await open_stream(gateway, job, stream.cursor)
    assert again.status == 204, "an EventSource stops at 204"
    assert frames[1].id == frames[2].id == stream.cursor


async def test_watchers_that_join_late_or_twice_see_the_same_end(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    first = await open_stream(gateway, job)
    await first.until("snapshot")
    grant = await worker.take("ingest")
    await first.until("job.started")
    second, third = await open_stream(gateway, job), await open_stream(gateway, job)
    assert (await second.until("snapshot")).rev == (await third.until("snapshot")).rev == 2
    await worker.next(grant, "fetch")
    await worker.fail(await worker.take("fetch"))
    ends = [await stream.rest() for stream in (first, second, third)]
    assert [frames[-2].event for frames in ends] == ["job.failed"] * 3
    assert len({frames[-2].id for frames in ends}) == 1
    assert ends[0][-2].data["data"]["error"]["code"] == "NOT_MEDIA"


async def test_a_client_that_is_cut_off_goes_on_where_it_was(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    grant = await worker.take("ingest")
    await stream.until("job.started")
    stream.abort()
    await worker.next(grant, "fetch")
    fetch = await worker.take("fetch")
    await worker.beat(fetch, 30.0)
    again = await open_stream(gateway, job, stream.cursor)
    prime = await again.next()
    assert (prime.event, prime.id, prime.data) == (None, stream.cursor, None)
    missed = [await again.next() for _ in range(3)]
    assert [(frame.event, frame.rev) for frame in missed] == [
        ("job.stage", 3), ("job.started", 4), ("job.progress", 4),
    ]  # fmt: skip
    assert missed[2].data["data"]["progress"]["percent"] == 30.0


async def test_resuming_works_from_the_log_as_from_memory(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    """A second gateway has nothing in memory and answers from the job's log; the result is the same."""
    first, second = await start_gateway(), await start_gateway(gateway__ring_events=0)
    job = await worker.submit()
    stream = await open_stream(first, job)
    await stream.until("snapshot")
    cursor = stream.cursor
    await worker.run(job)
    await stream.rest()
    told = []
    for gateway in (first, second):
        again = await open_stream(gateway, job, cursor)
        told.append([(frame.event, frame.id, frame.data) for frame in (await again.rest())[1:]])
    assert told[0] == told[1]
    assert [event for event, _, _ in told[0]] == [*WHOLE, "end"]
    openings = first.context.metrics.openings
    assert openings.labels("ring")._value.get() == 1
    assert second.context.metrics.openings.labels("log")._value.get() == 1


@pytest.mark.parametrize(
    "cursor",
    ["rubbish", "e.1", "zzz.1700000000000-0", "{epoch}.1-0", "{epoch}.9999999999999-0", "{epoch}.18446744073709551-1"],
)
async def test_a_cursor_that_proves_nothing_is_told_so(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, cursor: str
) -> None:
    job = await worker.submit()
    known = await open_stream(gateway, job)
    await known.until("snapshot")
    epoch = str(known.cursor).split(".")[0]
    stream = await open_stream(gateway, job, cursor.format(epoch=epoch))
    assert stream.status == 200
    await stream.next()
    frame = await stream.next()
    assert frame.event == "resync"
    assert frame.data["data"]["id"] == job
    assert frame.id == known.cursor
    await worker.run(job)
    assert [one.event for one in await stream.rest()][-2:] == ["job.completed", "end"]


async def test_a_client_cut_off_before_the_first_event_has_a_cursor(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    prime = await stream.next()
    stream.abort()
    assert prime.id is not None
    assert prime.id.endswith(".0-0")
    assert 2000 <= (prime.retry or 0) <= 6000
    again = await open_stream(gateway, job, prime.id)
    await again.next()
    assert (await again.next()).event == "snapshot"


async def test_retries_are_spread(gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream) -> None:
    job = await worker.submit()
    retries = {(await (await open_stream(gateway, job)).next()).retry for _ in range(12)}
    assert len(retries) > 6


async def test_an_unknown_job_is_a_problem(gateway: GatewayService, open_stream: OpenStream) -> None:
    for job in ("j00-01m7x4bzmengq4rc0p5ef3xxer", "j99-01m7x4bzmengq4rc0p5ef3xxer", "nonsense"):
        stream = await open_stream(gateway, job)
        assert stream.status == 404
        assert stream.headers["content-type"] == "application/problem+json"


async def test_another_tenants_job_looks_like_none(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, api: aiohttp.ClientSession
) -> None:
    job = await worker.submit(tenant="other")
    await worker.run(job)
    for path in ("", "/events", "/outputs", "/outputs/clip.mp3"):
        async with api.get(f"/v1/jobs/{job}{path}") as response:
            assert response.status == 404
            assert (await response.json())["code"] == "JOB_NOT_FOUND"
    async with api.post(f"/v1/jobs/{job}/cancel") as response:
        assert response.status == 404
    async with api.get("/v1/jobs") as response:
        assert (await response.json())["jobs"] == []
    own = await worker.submit()
    stream = await open_stream(gateway, own)
    epoch = str((await stream.until("snapshot")).id).split(".")[0]
    ring = gateway.context.hub.ring("00")
    foreign = next(event for event in ring._jobs[job])
    assert (await open_stream(gateway, job, f"{epoch}.{foreign.entry}")).status == 404


async def _with_barrier(
    reader: JobReader, monkeypatch: pytest.MonkeyPatch, before: Callable[[], Awaitable[object]] | None = None,
    after: Callable[[], Awaitable[object]] | None = None,
) -> None:  # fmt: skip
    read = JobReader.read
    done = False

    async def between(self: JobReader, job: str) -> Reading:
        nonlocal done
        first, done = not done, True
        if first and before is not None:
            await before()
        reading = await read(self, job)
        if first and after is not None:
            await after()
        return reading

    monkeypatch.setattr(type(reader), "read", between)


async def _heard(gateway: GatewayService, events: int) -> None:
    await eventually(lambda: gateway.context.pump.events >= events)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_event_around_the_snapshot_is_delivered_exactly_once(
    gateway: GatewayService,
    worker: ScriptedWorker,
    open_stream: OpenStream,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    """The tail has delivered it before the snapshot is read, or between reading and writing the snapshot."""
    job = await worker.submit()
    await _heard(gateway, 1)

    async def happen() -> None:
        await worker.take("ingest")
        await _heard(gateway, 2)

    await _with_barrier(gateway.context.reader, monkeypatch, **{when: happen})
    stream = await open_stream(gateway, job)
    snapshot = await stream.until("snapshot")
    assert snapshot.rev == (2 if when == "before" else 1)
    await worker.submitter.cancel(job, "test")
    await asyncio.sleep(0)
    if when == "after":
        assert (await stream.next()).event == "job.started"
    waiting = asyncio.ensure_future(stream.next())
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done, "nothing else was delivered"
    waiting.cancel()


async def test_a_read_that_began_before_a_watcher_came_is_not_shared_with_it(
    gateway: GatewayService, worker: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await worker.submit()
    reader = gateway.context.reader
    answered = asyncio.Event()
    original = reader._read

    async def slow(partition: str, jobs: tuple[str, ...]) -> list[Reading]:
        readings = await original(partition, jobs)
        await answered.wait()
        return readings

    monkeypatch.setattr(reader, "_read", slow)
    early = asyncio.create_task(reader.read(job))
    await eventually(lambda: reader.calls)
    await worker.take("ingest")
    late = asyncio.create_task(reader.read(job))
    await asyncio.sleep(0.05)
    answered.set()
    views = [(await early).view, (await late).view]
    assert [view.rev for view in views if view is not None] == [1, 2]


async def test_the_heartbeat_is_a_named_event(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = await start_gateway(gateway__heartbeat_s=0.1)
    stream = await open_stream(gateway, await worker.submit())
    cursor = (await stream.until("snapshot")).id
    for _ in range(3):
        beat = await stream.until("heartbeat")
        assert beat.id is None
        assert beat.data["at"].endswith("Z")
    assert stream.cursor == cursor


async def test_a_stream_has_a_bounded_life(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = await start_gateway(gateway__stream_life_s=0.3, gateway__heartbeat_s=0.2)
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    last = (await stream.rest())[-1]
    assert last.event == "reconnect"
    assert last.data["reason"] == "lifetime"
    assert last.retry == last.data["retry_ms"]
    again = await open_stream(gateway, job, stream.cursor)
    await again.next()
    await worker.take("ingest")
    assert (await again.next()).event == "job.started"


async def test_overload_turns_away_with_200(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = await start_gateway(gateway__max_streams=1)
    job = await worker.submit()
    first = await open_stream(gateway, job)
    await first.until("snapshot")
    second = await open_stream(gateway, job)
    assert second.status == 200
    assert second.headers["content-type"].startswith("text/event-stream")
    frame = await second.next()
    assert frame.event == "reconnect"
    assert (frame.retry or 0) >= 15_000
    first.abort()
    await eventually(lambda: not len(gateway.context.streams))
    third = await open_stream(gateway, job)
    assert (await third.until("snapshot")).data["job"] == job


async def test_streams_end_when_the_gateway_drains(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = await start_gateway()
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    await gateway.drain()
    frame = await stream.until("reconnect")
    assert frame.data["reason"] == "draining"
    with pytest.raises(StreamEnded):
        await stream.next()
    late = await open_stream(gateway, job)
    assert late.status == 200
    assert (await late.next()).event == "reconnect"


async def test_many_events_in_a_burst_arrive_whole(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    """More progress than the pulse stream is read in one call must not cost a single durable event."""
    jobs = [await worker.submit() for _ in range(4)]
    streams: list[SseClient] = []
    for job in jobs:
        streams.append(await open_stream(gateway, job))
        await streams[-1].until("snapshot")
    for place, stage in enumerate(STAGES):
        grants = [await worker.take(stage) for _ in jobs]
        for number in range(150):
            for grant in grants:
                await worker.beat(grant, 25 * place + number / 7)
        for grant in grants:
            if place < 3:
                await worker.next(grant, STAGES[place + 1])
            else:
                await worker.done(grant)
    for stream in streams:
        await stream.rest()
        assert [name for name in stream.events() if name != "job.progress"] == ["snapshot", *WHOLE, "end"]
