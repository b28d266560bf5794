"""One job's SSE stream: snapshot, then tail, then the end; and every way to come back."""

from itertools import pairwise

import pytest
import redis.asyncio

from actors.kernel import Partitions
from actors.kernel.scripts import text
from gateway.http.service import GatewayService
from tests.gateway.conftest import OpenStream, StartGateway
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import STAGES, ScriptedWorker
from tests.gateway.sse_client import SseClient
from tests.gateway.ws_client import WsClient

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
    assert frames[2].id == stream.cursor
    cut_off = await open_stream(gateway, job, frames[1].id)
    await cut_off.rest()
    assert cut_off.events() == ["job.completed", "end"], "who is cut off behind the snapshot has not been told the end"
    socket = await WsClient.open(gateway)
    try:
        assert (await socket.subscribe("a", f"job:{job}", frames[1].id))["recovered"]
        assert [one["event"]["type"] for one in await socket.events(1)] == ["job.completed"]
        await socket.until("end")
    finally:
        await socket.close()


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
    """A second gateway has nothing in memory and answers from the job's log; the result is the same, progress too."""
    first, second = await start_gateway(), await start_gateway(gateway__ring_events=0)
    job = await worker.submit()
    stream, other = await open_stream(first, job), await open_stream(second, job)
    await stream.until("snapshot")
    cursor = stream.cursor
    for stage, following in pairwise(STAGES):
        await worker.next(await worker.take(stage), following)
    last = await worker.take(STAGES[-1])
    while (await stream.until("job.started")).data["data"]["stage"] != STAGES[-1]:
        pass
    await worker.beat(last, 80.0, eta_s=3.0)
    for one in (stream, other):
        await one.until("job.progress")
    streams = [await open_stream(gateway, job, cursor) for gateway in (first, second)]
    for one in streams:
        assert (await one.until("job.progress")).data["data"]["progress"]["percent"] == 80.0
    await worker.done(last)
    for one in streams:
        await one.rest()
    told = [[(frame.event, frame.id, frame.data) for frame in again.frames[1:]] for again in streams]
    assert told[0] == told[1]
    assert [event for event, _, _ in told[0]] == [*WHOLE[:-1], "job.progress", WHOLE[-1], "end"]
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
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, redis_client: redis.asyncio.Redis
) -> None:
    job = await worker.submit()
    await eventually(lambda: gateway.context.pump.events == 1)
    epoch = text(await redis_client.get(worker.partitions.keys("00").epoch))
    stream = await open_stream(gateway, job)
    prime = await stream.next()
    stream.abort()
    assert prime.id == f"{epoch}.0-0"
    assert 2000 <= (prime.retry or 0) <= 6000
    again = await open_stream(gateway, job, prime.id)
    await again.next()
    assert (await again.next()).event == "snapshot"


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


async def test_every_partition_is_heard(
    start_gateway: StartGateway, redis_client: redis.asyncio.Redis, open_stream: OpenStream
) -> None:
    gateway = await start_gateway(redis__partitions=16)
    worker = ScriptedWorker(redis_client, Partitions(16))
    job = await worker.submit()
    assert not job.startswith("j00-")
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    await worker.run(job, reports=1)
    assert [frame.event for frame in await stream.rest()][-2:] == ["job.completed", "end"]
    assert gateway.context.pump.holes == 0
