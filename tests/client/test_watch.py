"""Watching across everything that can happen to a connection: no gap, no duplicate, the end seen once."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
import redis.asyncio

from gateway.client import Client, Event, ProblemError, transport
from gateway.client.documents import Job, JobPage
from gateway.client.events import Completed, Failed, Progressed, Started
from tests.client.conftest import MakeClient
from tests.client.wire import Plan, Wire
from tests.gateway.conftest import KEY, StartGateway
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.test_process import gateway_process

WHOLE = ["job.started", *["job.stage", "job.started"] * 3, "job.completed"]
AT_ONCE = 16
WATCHERS = 130
"""More than the connections that the HTTP library allows by itself."""


def durable(events: Iterable[Event]) -> list[str]:
    """The types of the durable events, after checking that none is missing and none is told twice."""
    rev = 0
    types = []
    for one in events:
        if one.type in ("snapshot", "resync"):
            rev = one.rev if isinstance(one.data, Job) and not one.data.ended else one.rev - 1
        elif one.type.startswith("job.") and one.id is not None:
            assert one.rev == rev + 1, f"{rev} is followed by {one.rev}"
            rev = one.rev
            types.append(one.type)
    return types


async def collect(events: AsyncIterator[Event], into: list[Event] | None = None) -> list[Event]:
    seen = [] if into is None else into
    async for one in events:
        seen.append(one)
    return seen


async def until(seen: list[Event], kind: str) -> None:
    async with asyncio.timeout(20):
        while all(one.type != kind for one in seen):  # noqa: ASYNC110 - what is waited for is appended by another task
            await asyncio.sleep(0.005)


async def test_a_job_from_its_beginning_to_its_end(client: Client, worker: ScriptedWorker) -> None:
    job = await worker.submit()
    seen: list[Event] = []
    watcher = asyncio.create_task(collect(client.watch(job), seen))
    await until(seen, "snapshot")
    grant = await worker.take("ingest")
    await until(seen, "job.started")
    await worker.beat(grant, 12.5)
    await until(seen, "job.progress")
    await worker.next(grant, "fetch")
    for stage, following in (("fetch", "transcode"), ("transcode", "store")):
        await worker.next(await worker.take(stage), following)
    await worker.done(await worker.take("store"))
    await asyncio.wait_for(watcher, 10)
    assert durable(seen) == WHOLE
    assert isinstance(seen[0].data, Job)
    assert (seen[0].data.id, seen[0].data.state) == (job, "queued")
    assert isinstance(seen[1].data, Started)
    assert seen[1].data.stage == "ingest"
    assert isinstance(seen[2].data, Progressed)
    assert (seen[2].id, seen[2].data.progress.percent, seen[2].data.progress.stage) == (None, 12.5, "ingest")
    assert isinstance(seen[-1].data, Completed)
    assert seen[-1].data.outputs[0].name == "clip.mp3"
    assert seen[-1].terminal
    assert [one.id for one in await client.events(job)][1:] == [one.id for one in seen if one.id][1:]
    again = [one.type async for one in client.watch(job)]
    assert again == ["snapshot", "job.completed"]
    assert [one async for one in client.watch(job, after=seen[-1].id)] == []
    with pytest.raises(ProblemError, match="JOB_NOT_FOUND"):
        await collect(client.watch("j00-01h00000000000000000000000"))


async def test_a_gateway_that_is_killed_and_started_again(
    make_client: MakeClient, tmp_path: Path, redis_url: str, worker: ScriptedWorker
) -> None:
    job = await worker.submit()
    seen: list[Event] = []
    async with gateway_process(tmp_path, redis_url) as (process, port):
        watcher = asyncio.create_task(collect(make_client(f"http://127.0.0.1:{port}").watch(job), seen))
        await until(seen, "snapshot")
        grant = await worker.take("ingest")
        await until(seen, "job.started")
        process.kill()
        await process.wait()
    killed_s = time.monotonic()
    await worker.next(grant, "fetch")
    async with gateway_process(tmp_path, redis_url, port):
        await until(seen, "job.stage")
        assert time.monotonic() - killed_s >= 2.0, "it comes back no sooner than it was told to"
        await worker.fail(await worker.take("fetch"))
        await asyncio.wait_for(watcher, 10)
    assert durable(seen) == ["job.started", "job.stage", "job.started", "job.failed"]
    assert [one.type for one in seen].count("snapshot") == 1
    assert isinstance(seen[-1].data, Failed)
    assert seen[-1].data.error.code == "NOT_MEDIA"


async def test_many_watchers_of_one_client(client: Client, worker: ScriptedWorker) -> None:
    jobs = [await worker.submit() for _ in range(WATCHERS)]
    seen: list[list[Event]] = [[] for _ in jobs]
    watchers = [asyncio.create_task(collect(client.watch(job), into)) for job, into in zip(jobs, seen, strict=True)]
    for events in seen:
        await until(events, "snapshot")
    for job in jobs:
        await worker.submitter.cancel(job, "test")
    await asyncio.wait_for(asyncio.gather(*watchers), 20)
    assert {tuple(durable(events)) for events in seen} == {("job.cancelled",)}


async def test_a_gap_is_told_as_an_event(
    start_gateway: StartGateway,
    make_client: MakeClient,
    worker: ScriptedWorker,
    redis_client: redis.asyncio.Redis,
) -> None:
    gateway = await start_gateway(gateway__ring_events=0)
    async with Wire(gateway.port, [Plan()]) as wire:
        job = await worker.submit()
        seen: list[Event] = []
        watcher = asyncio.create_task(collect(make_client(wire.url).watch(job), seen))
        await until(seen, "snapshot")
        grant = await worker.take("ingest")
        await until(seen, "job.started")
        # The log loses what the watcher saw last, while its connection is cut.
        await redis_client.ltrim(f"{worker.partitions.keys('00').root}log:{job}", 1_000, -1)
        wire.cut()
        await until(seen, "resync")
        await worker.next(grant, "fetch")
        await worker.fail(await worker.take("fetch"))
        await asyncio.wait_for(watcher, 10)
    assert [one.type for one in seen if one.id] == [
        "snapshot", "job.started", "resync", "job.stage", "job.started", "job.failed",
    ]  # fmt: skip
    (resync,) = [one for one in seen if one.type == "resync"]
    assert isinstance(resync.data, Job)
    assert resync.data.stage == "ingest"
    assert durable(seen) == ["job.started", "job.stage", "job.started", "job.failed"]


async def test_a_connection_that_is_cut_at_every_byte(wire: Wire, wired: Client, worker: ScriptedWorker) -> None:
    """The head, the primed id, a snapshot and its event byte by byte; so many bytes of the rest as are left over."""
    job = await worker.submit()
    first = (await wired.events(job))[0]
    await worker.run(job)
    wire.received = b""
    straight = [one.document for one in await collect(wired.watch(job, after=first.id))]
    assert len(straight) == len(WHOLE)
    answer = len(wire.received)
    frame = wire.received.index(b"event: job.stage")
    places = [*range(frame - 90, frame + 290), *range(0, frame - 90, 23), *range(frame + 290, answer, 23)]

    async def watch_with_a_cut(place: int) -> None:
        async with Wire(wire.port_of_gateway, [Plan(cut_after_bytes=place)]) as cut:
            async with Client(cut.url, KEY) as client:
                told = [one.document for one in await collect(client.watch(job, after=first.id))]
            assert told == straight, f"cut after {place} bytes"
            assert cut.connections == 2 or place >= answer - 200, f"cut after {place} bytes"

    for begin in range(0, len(places), AT_ONCE):
        await asyncio.gather(*(watch_with_a_cut(place) for place in places[begin : begin + AT_ONCE]))


async def test_a_connection_that_is_half_open(
    start_gateway: StartGateway, make_client: MakeClient, worker: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "SILENCE_S", 1.5)
    gateway = await start_gateway(gateway__heartbeat_s=0.5)
    job = await worker.submit()
    seen: list[Event] = []
    async with Wire(gateway.port, [Plan(dead_after_bytes=1500)]) as wire:
        watcher = asyncio.create_task(collect(make_client(wire.url).watch(job, heartbeats=True), seen))
        await until(seen, "snapshot")
        grant = await worker.take("ingest")
        for number in range(20):
            await worker.beat(grant, number)
        await worker.next(grant, "fetch")
        async with asyncio.timeout(10):
            while wire.connections < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await until(seen, "heartbeat")
        await worker.fail(await worker.take("fetch"))
        await asyncio.wait_for(watcher, 10)
        assert wire.connections == 2, "heartbeats keep a connection that works"
    assert durable(seen) == ["job.started", "job.stage", "job.started", "job.failed"]


async def test_a_tenants_jobs_at_a_real_gateway(
    start_gateway: StartGateway, make_client: MakeClient, worker: ScriptedWorker, redis_client: redis.asyncio.Redis
) -> None:
    """Across cuts, and a feed that has lost what was seen last."""
    gateway = await start_gateway(gateway__ring_events=0)
    seen: list[Event] = []
    tagged: list[Event] = []
    async with Wire(gateway.port) as wire:
        client = make_client(wire.url)
        before = await worker.submit()
        watchers = [
            asyncio.create_task(collect(client.watch_tenant(), seen)),
            asyncio.create_task(collect(client.watch_tenant("a & b"), tagged)),
        ]
        await until(seen, "snapshot")
        await until(tagged, "snapshot")
        jobs = [(await client.submit("https://a.example/b", "mp3", tags=["a & b"])).id for _ in range(3)]
        for job in jobs:
            wire.cut()
            await worker.submitter.cancel(job, "test")
        async with asyncio.timeout(10):
            while [one.type for one in tagged].count("job.cancelled") < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        wire.cut()
        await redis_client.delete(worker.partitions.keys("00").feed)
        await until(seen, "resync")
        await worker.submitter.cancel(before, "test")
        async with asyncio.timeout(10):
            while not any(_tells_the_end_of(one, before) for one in seen):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        for watcher in watchers:
            watcher.cancel()
        await asyncio.wait(watchers)
    assert isinstance(seen[0].data, JobPage)
    assert ([job.id for job in seen[0].data.jobs], seen[0].job, seen[0].rev) == ([before], "", 0)
    begun = [one for one in tagged[: next((n for n, one in enumerate(tagged) if one.type == "resync"), None)] if one.id]
    told = [(one.type, one.job) for one in begun if one.type.startswith("job.")]
    assert sorted(told) == sorted([(kind, job) for job in jobs for kind in ("job.queued", "job.cancelled")])
    resync = next(one for one in seen if one.type == "resync")
    assert isinstance(resync.data, JobPage)
    assert [job.id for job in resync.data.jobs] == [*jobs[::-1], before]


def _tells_the_end_of(one: Event, job: str) -> bool:
    """By an event, or, where the gateway found that the feed had begun anew only then, by another resync."""
    if isinstance(one.data, JobPage):
        return any(known.id == job and known.ended for known in one.data.jobs)
    return one.job == job and one.terminal
