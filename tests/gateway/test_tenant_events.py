"""`/v1/events`: all jobs of a tenant in one stream, or those that carry a tag."""

import asyncio
from typing import Any

import pytest
import redis.asyncio

from actors.kernel import Partitions
from actors.media.task import JobSpec, encode
from gateway.http.service import GatewayService
from gateway.streams import feed_reader
from gateway.streams.connection import Bounds
from gateway.streams.tenant_reader import TenantReader, TenantReading
from tests.gateway.conftest import OpenStream, StartGateway
from tests.gateway.narrow import narrow
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.sse_client import Frame, SseClient


def tagged(*tags: str) -> dict[str, Any]:
    return {"spec": encode(JobSpec(source="https://media.example/a.mp4", format="mp3", tags=tags))}


class Followed:
    """Streams of a tenant: `rev` is contiguous for each job and not for the stream."""

    def __init__(self, open_stream: OpenStream, gateway: GatewayService) -> None:
        self._open_stream = open_stream
        self._gateway = gateway

    async def open(self, last_event_id: str | None = None, tag: str | None = None, **options: object) -> SseClient:
        path = "/v1/events" if tag is None else f"/v1/events?tag={tag}"
        return await self._open_stream(self._gateway, "", last_event_id, path=path, **options)


@pytest.fixture
def follow(open_stream: OpenStream, gateway: GatewayService) -> Followed:
    return Followed(open_stream, gateway)


def told(frame: Frame) -> tuple[str | None, str, int]:
    return frame.event, frame.data["job"], frame.data["rev"]


async def test_a_snapshot_of_the_newest_jobs_then_everything_that_happens(
    worker: ScriptedWorker, follow: Followed
) -> None:
    nothing = await follow.open()
    assert [(await nothing.next()).id for _ in range(2)] == ["0.0-0", "0.0-0"], "there is no feed yet"
    assert nothing.frames[1].data["data"]["jobs"] == []
    first = await worker.submit()
    second = await worker.submit()
    stream = await follow.open()
    snapshot = await stream.until("snapshot")
    assert snapshot.data["job"] is None
    assert [job["id"] for job in snapshot.data["data"]["jobs"]] == [second, first]
    assert snapshot.data["data"]["next"] is None
    third = await worker.submit()
    await worker.submitter.cancel(first, "test")
    assert told(await stream.next()) == ("job.queued", third, 1)
    assert told(await stream.next()) == ("job.cancelled", first, 2)
    await worker.run(second)
    shown = [await stream.next() for _ in range(8)]
    assert {frame.data["job"] for frame in shown} == {second}
    assert [frame.data["rev"] for frame in shown] == list(range(2, 10))


async def test_another_tenant_is_neither_seen_nor_heard(
    gateway: GatewayService, worker: ScriptedWorker, follow: Followed
) -> None:
    foreign = await worker.submit(tenant="another")
    own = await worker.submit()
    await worker.submitter.cancel(foreign, "test")
    await eventually(lambda: gateway.context.pump.events == 3)
    stream = await follow.open()
    snapshot = await stream.until("snapshot")
    assert [job["id"] for job in snapshot.data["data"]["jobs"]] == [own]
    # The place that the snapshot gives is the tenant's own last event, although another's came after it.
    assert snapshot.id is not None
    ring = gateway.context.hub.ring(gateway.context.partitions.of_tenant("default"))
    newest = ring.newest("default")
    assert newest is not None
    assert snapshot.id == newest.id
    await worker.submitter.cancel(await worker.submit(tenant="another"), "test")
    await worker.submitter.cancel(own, "test")
    assert told(await stream.next()) == ("job.cancelled", own, 2)


async def test_a_cursor_is_continued_from_memory_and_from_the_feed(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    first = await start_gateway()
    jobs = [await worker.submit() for _ in range(3)]
    await eventually(lambda: first.context.pump.events == 3)
    stream = await Followed(open_stream, first).open()
    cursor = (await stream.until("snapshot")).id
    stream.abort()
    for job in jobs:
        await worker.submitter.cancel(job, "test")
    again = await Followed(open_stream, first).open(cursor)
    await again.next()
    assert [told(await again.next()) for _ in jobs] == [("job.cancelled", job, 2) for job in jobs]
    assert first.context.feed_reader.calls == 0
    # A gateway that has just begun has nothing in memory.
    second = await start_gateway()
    anew = await Followed(open_stream, second).open(cursor)
    await anew.next()
    assert [told(await anew.next()) for _ in jobs] == [("job.cancelled", job, 2) for job in jobs]
    assert second.context.feed_reader.calls == 1
    begun = await Followed(open_stream, second).open()
    assert (await begun.until("snapshot")).id == f"{str(cursor).partition('.')[0]}.0-0", "its own beginning of the feed"


@pytest.mark.parametrize("cursor", ["nonsense", "otherepoch.1-1", "OLD", "OTHER"])
async def test_a_cursor_that_proves_nothing_is_answered_with_resync(
    gateway: GatewayService,
    worker: ScriptedWorker,
    follow: Followed,
    redis_client: redis.asyncio.Redis,
    partitions: Partitions,
    cursor: str,
) -> None:
    job = await worker.submit()
    await eventually(lambda: gateway.context.pump.events == 1)
    newest = gateway.context.hub.ring(partitions.of_tenant("default")).newest("default")
    assert newest is not None
    if cursor == "OLD":
        cursor = f"{newest.epoch}.1-1"
    elif cursor == "OTHER":
        # The entry is there, but in a feed of another identity.
        cursor = f"otherepoch.{newest.entry}"
    stream = await follow.open(cursor)
    resync = await stream.until("resync")
    assert [one["id"] for one in resync.data["data"]["jobs"]] == [job]


async def test_the_feed_trimmed_past_a_cursor_is_a_resync_and_not_a_part(
    start_gateway: StartGateway,
    worker: ScriptedWorker,
    open_stream: OpenStream,
    redis_client: redis.asyncio.Redis,
    partitions: Partitions,
) -> None:
    first = await start_gateway()
    jobs = [await worker.submit() for _ in range(4)]
    await eventually(lambda: first.context.pump.events == 4)
    cursor = (await (await Followed(open_stream, first).open()).until("snapshot")).id
    for job in jobs:
        await worker.submitter.cancel(job, "test")
    feed = partitions.keys(partitions.of_tenant("default")).feed
    await redis_client.xtrim(feed, maxlen=2, approximate=False)
    second = await start_gateway()
    stream = await Followed(open_stream, second).open(cursor)
    resync = await stream.until("resync")
    assert [one["state"] for one in resync.data["data"]["jobs"]] == ["cancelled"] * 4


@pytest.mark.parametrize(("foreign", "goes_on_with"), [(3, "job.cancelled"), (6, "resync")])
async def test_a_search_that_stops_early_is_not_taken_for_the_end(
    start_gateway: StartGateway,
    worker: ScriptedWorker,
    open_stream: OpenStream,
    monkeypatch: pytest.MonkeyPatch,
    foreign: int,
    goes_on_with: str,
) -> None:
    """Between two events of the tenant lie more of others than one search looks through."""
    first = await start_gateway()
    job = await worker.submit()
    await eventually(lambda: first.context.pump.events == 1)
    cursor = (await (await Followed(open_stream, first).open()).until("snapshot")).id
    await worker.submit()
    for number in range(foreign):
        await worker.submit(tenant=f"another-{number}")
    await worker.submitter.cancel(job, "test")
    second = await start_gateway()
    monkeypatch.setattr(feed_reader, "READ_COUNT", 2)
    monkeypatch.setattr(feed_reader, "MOST_READS", 2)
    stream = await Followed(open_stream, second).open(cursor)
    await stream.until("job.queued")
    assert (await stream.next()).event == goes_on_with


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_an_event_around_the_snapshot_is_shown_exactly_once(
    gateway: GatewayService,
    worker: ScriptedWorker,
    follow: Followed,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    job = await worker.submit()
    read = TenantReader.read

    async def between(self: TenantReader, tenant: str, tag: str | None) -> TenantReading:
        heard = gateway.context.pump.events
        if moment == "before":
            await worker.take("ingest")
            await eventually(lambda: gateway.context.pump.events > heard)
        reading = await read(self, tenant, tag)
        if moment == "after":
            await worker.take("ingest")
            await eventually(lambda: gateway.context.pump.events > heard)
        return reading

    monkeypatch.setattr(TenantReader, "read", between)
    stream = await follow.open()
    snapshot = await stream.until("snapshot")
    assert snapshot.data["data"]["jobs"][0]["state"] == ("running" if moment == "before" else "queued")
    await worker.submitter.cancel(job, "test")
    await worker.submit()
    shown: list[tuple[str | None, str, int]] = []
    while not shown or shown[-1][0] != "job.queued":
        shown.append(told(await stream.next()))
    assert [one for one in shown if one[0] == "job.started"] == (
        [] if moment == "before" else [("job.started", job, 2)]
    )


async def test_a_tag_shows_the_jobs_that_carry_it(
    gateway: GatewayService, worker: ScriptedWorker, follow: Followed
) -> None:
    old = await worker.submit(**tagged("a", "b"))
    await worker.submit(**tagged("b"))
    stream = await follow.open(tag="a")
    snapshot = await stream.until("snapshot")
    assert [job["id"] for job in snapshot.data["data"]["jobs"]] == [old]
    # Of these the gateway knows no tags yet: it has to look, and nothing gets out of order.
    jobs = [await worker.submit(**tagged("a" if number % 2 else "c")) for number in range(6)]
    wanted = jobs[1::2]
    assert [told(await stream.next()) for _ in wanted] == [("job.queued", job, 1) for job in wanted]
    for job in (old, *jobs):
        await worker.submitter.cancel(job, "test")
    assert [told(await stream.next()) for _ in range(4)] == [("job.cancelled", job, 2) for job in (old, *wanted)]


async def test_progress_of_all_jobs_is_shown_and_has_no_id(worker: ScriptedWorker, follow: Followed) -> None:
    job = await worker.submit()
    grant = await worker.take("ingest")
    stream = await follow.open()
    await stream.until("snapshot")
    await worker.beat(grant, 12.0)
    progress = await stream.until("job.progress")
    assert (progress.id, progress.data["job"], progress.data["rev"]) == (None, job, 2)


async def test_a_lost_feed_is_told_to_who_is_listening(
    gateway: GatewayService,
    worker: ScriptedWorker,
    follow: Followed,
    redis_client: redis.asyncio.Redis,
    partitions: Partitions,
) -> None:
    job = await worker.submit()
    stream = await follow.open()
    await stream.until("snapshot")
    keys = partitions.keys(partitions.of_tenant("default"))
    await redis_client.delete(keys.feed, keys.epoch)
    await worker.submitter.cancel(job, "test")
    resync = await stream.until("resync")
    assert resync.data["data"]["jobs"][0]["state"] == "cancelled"
    after = await worker.submit()
    assert told(await stream.until("job.queued")) == ("job.queued", after, 1)
    gateway.context.hub.lose("00")
    assert (await stream.next()).event == "resync", "also where the feed would have everything"


@pytest.mark.parametrize(("count", "reason"), [(150, "x" * 6000), (600, "x")], ids=["large", "many"])
async def test_who_reads_slowly_gets_every_event_in_the_end(
    gateway: GatewayService, worker: ScriptedWorker, follow: Followed, count: int, reason: str
) -> None:
    """More than a watcher may hold: the rest comes from memory, without a hole, in parts that bound what it costs."""
    stream = await follow.open(receive_buffer_bytes=4096)
    await stream.until("snapshot")
    connection = next(iter(gateway.context.streams._open))
    transport = narrow(connection)
    jobs = [await worker.submit() for _ in range(count)]
    for job in jobs:
        await worker.submitter.cancel(job, reason)
    await eventually(lambda: gateway.context.pump.events == 2 * count)
    assert connection.behind
    most_bytes = 0
    seen: dict[str, int] = {}
    while sum(seen.values()) < 2 * count:
        frame = await stream.next()
        most_bytes = max(most_bytes, transport.get_write_buffer_size())
        if frame.event != "heartbeat":
            _, job, rev = told(frame)
            assert rev == seen.get(job, 0) + 1
            seen[job] = rev
    assert set(seen) == set(jobs)
    assert Bounds().soft_bytes < most_bytes < Bounds().hard_bytes


async def test_a_crowd_of_watchers_of_one_tenant_costs_few_readings(
    gateway: GatewayService, worker: ScriptedWorker, follow: Followed
) -> None:
    await worker.submit()
    before = gateway.context.tenant_reader.readings
    streams = await asyncio.gather(*(follow.open() for _ in range(50)))
    for stream in streams:
        await stream.until("snapshot")
    assert gateway.context.tenant_reader.readings - before < 50 / 2
