"""Watching across everything that can happen to a connection: no gap, no duplicate, the end seen once."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from pathlib import Path

import pytest
import redis.asyncio

from gateway.client import Client, Event, ProblemError, Unreachable, transport
from gateway.client.documents import Job, JobPage
from gateway.client.events import Completed, Failed, Progressed, Retrying, Started
from tests.client.conftest import MakeClient
from tests.client.scripts import END, JOB, PRIME, STREAM, event, problem
from tests.client.wire import Plan, Wire
from tests.command.breaking_server import Request, breaking_server
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


async def test_coming_back_when_asked_to(make_client: MakeClient) -> None:
    came: list[tuple[float, str | None]] = []

    def answer(request: Request) -> None:
        came.append((time.monotonic(), request.headers["Last-Event-ID"]))
        if len(came) == 1:
            body = PRIME + event("snapshot", 1, JOB) + b'retry: 300\nevent: reconnect\ndata: {"reason":"draining"}\n\n'
        else:
            body = event("job.completed", 2, {"outputs": []})
        request.reply(200, body, **STREAM)

    with breaking_server(answer) as url:
        seen = await collect(make_client(url).watch("j00-1"))
    assert [one.type for one in seen] == ["snapshot", "job.completed"]
    assert [cursor for _, cursor in came] == [None, "e.1-0"]
    assert came[1][0] - came[0][0] >= 0.3


async def test_nothing_is_told_twice_whatever_the_gateway_repeats(make_client: MakeClient) -> None:
    """It knows no cursor and begins each time with the first event."""
    answers = 0

    def answer(request: Request) -> None:
        nonlocal answers
        answers += 1
        body = PRIME + b"".join(event("job.stage", rev, {"done": "a", "next": "b"}) for rev in range(1, answers + 2))
        request.reply(200, body + (event("job.expired", 9, {}) if answers == 4 else b""), **STREAM)

    with breaking_server(answer) as url:
        seen = await collect(make_client(url).watch("j00-1"))
    assert [one.rev for one in seen] == [1, 2, 3, 4, 5, 9]


async def test_what_counts_anew_after_a_resync(make_client: MakeClient) -> None:
    """Redis lost its last second: what comes after it may have older ids than what was told before."""
    body = (
        PRIME
        + event("snapshot", 5, JOB)
        + event("job.started", 6, {"stage": "ingest"})
        + event("resync", 4, JOB)
        + event("job.queued", 3, {"stage": "ingest"})
        + event("job.started", 6, {"stage": "ingest"})
        + event("job.completed", 7, {"outputs": []})
    )
    with breaking_server(lambda request: request.reply(200, body, **STREAM)) as url:
        seen = await collect(make_client(url).watch("j00-1"))
    assert [(one.type, one.rev) for one in seen] == [
        ("snapshot", 5), ("job.started", 6), ("resync", 4), ("job.started", 6), ("job.completed", 7),
    ]  # fmt: skip


async def test_what_is_not_known_passes(make_client: MakeClient) -> None:
    """A newer gateway's fields, states and events, an older one's missing fields, and another one's forms."""
    body = (
        b"\xef\xbb\xbf: a comment\r\nretry: soon\r\nunknown: field\r\nid: e.0-0\r\ndata\r\n\r\n"
        + event("snapshot", 1, {"id": "j00-1", "state": "napping", "new": {"deep": [1]}, "document": 7})
        + event("job.napped", 2, {"for_s": 3})
        + event("job.started", 3, {"stage": 7})
        + event("job.retrying", 4, {"reason": {"code": "X", "new": 1}, "more": True})
        + b'event: notice\ndata: {"text":\ndata: "two lines"}\n\n'
        + b"event: noise\ndata: no json\n\n"
        + event("job.completed", 5, {"outputs": [{"name": "a", "size_bytes": 1, "sha256": "0", "url": "/a"}]})
    )
    with breaking_server(lambda request: request.reply(200, body, **STREAM)) as url:
        seen = await collect(make_client(url).watch("j00-1"))
    assert isinstance(seen[0].data, Job)
    assert (seen[0].data.state, seen[0].data.ended, seen[0].data.document[:1]) == ("napping", False, b"{")
    assert (seen[1].type, seen[1].data) == ("job.napped", {"for_s": 3})
    assert (seen[2].type, seen[2].data) == ("job.started", {"stage": 7})
    assert isinstance(seen[3].data, Retrying)
    assert (seen[4].type, seen[4].data) == ("notice", {"text": "two lines"})
    assert (seen[5].type, seen[5].data, seen[5].document) == ("noise", {}, b"no json")
    assert isinstance(seen[6].data, Completed)
    assert len(seen) == 7


async def test_all_jobs_of_a_tenant(make_client: MakeClient) -> None:
    asked: list[tuple[str, str | None]] = []
    page = {"jobs": [JOB], "next": "more"}
    whole = {"job": None, "rev": None}

    def answer(request: Request) -> None:
        asked.append((request.path, request.headers["Last-Event-ID"]))
        if len(asked) == 1:
            body = PRIME + event("snapshot", 1, page, **whole) + event("job.completed", 2, {"outputs": []}, job="j00-1")
        elif len(asked) == 2:
            body = event("job.started", 3, {"stage": "ingest"}, job="j00-2") + event("resync", 5, page, **whole)
        else:
            body = event("job.failed", 6, {"error": {"code": "NOT_MEDIA"}}, job="j00-2")
        request.reply(200, body, **STREAM)

    seen = []
    with breaking_server(answer) as url:
        async with aclosing(make_client(url).watch_tenant("tall & wide")) as events:
            async for one in events:
                seen.append((one.type, one.job, type(one.data)))
                if one.type == "job.failed":
                    break
    assert seen == [
        ("snapshot", "", JobPage),
        ("job.completed", "j00-1", Completed),
        ("job.started", "j00-2", Started),
        ("resync", "", JobPage),
        ("job.failed", "j00-2", Failed),
    ]
    path = "/v1/events?tag=tall+%26+wide"
    assert asked == [(path, None), (path, "e.2-0"), (path, "e.5-0")]


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


async def test_the_end_without_a_terminal_event(make_client: MakeClient) -> None:
    """The job was deleted meanwhile, or its end was told on an earlier connection."""
    answers = [
        lambda request: request.reply(
            200, PRIME + event("snapshot", 1, JOB) + END + event("job.late", 2, {}), **STREAM
        ),
        lambda request: request.reply(204, b""),
    ]
    with breaking_server(lambda request: answers.pop(0)(request)) as url:
        client = make_client(url)
        assert [one.type async for one in client.watch("j00-1")] == ["snapshot"]
        assert [one.type async for one in client.watch("j00-1", after="e.9-0")] == []


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [(200, {"Content_Type": "text/html"}, b"<html>sign in</html>"), (200, STREAM, b"data: " + bytes(1 << 20) * 17)],
)
async def test_what_is_no_stream(make_client: MakeClient, status: int, headers: dict[str, str], body: bytes) -> None:
    with (
        breaking_server(lambda request: request.reply(status, body, **headers)) as url,
        pytest.raises(Unreachable, match="no Reelway gateway"),
    ):
        await collect(make_client(url).watch("j00-1"))


async def test_a_gateway_that_stays_away(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = 0

    def answer(request: Request) -> None:
        nonlocal requests
        requests += 1
        if requests == 1:
            request.reply(200, PRIME + event("snapshot", 1, JOB), **STREAM)
        elif requests > 3:
            request.reply(503, problem("STORE_UNAVAILABLE"), Retry_After="0")

    with breaking_server(answer) as url, pytest.raises(ProblemError, match="STORE_UNAVAILABLE"):
        await collect(make_client(url, patience_s=0.5).watch("j00-1"))
    assert requests > 4


async def test_the_key_may_be_taken_away(make_client: MakeClient) -> None:
    answers = [
        lambda request: request.reply(200, PRIME + event("snapshot", 1, JOB), **STREAM),
        lambda request: request.reply(401, json.dumps({"code": "UNAUTHORIZED"}).encode()),
    ]
    with breaking_server(lambda request: answers.pop(0)(request)) as url, pytest.raises(ProblemError) as refused:
        await collect(make_client(url).watch("j00-1"))
    assert refused.value.status == 401
