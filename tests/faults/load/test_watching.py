"""Watchers before a real gateway, and before a site that breaks off: they come back, and write down what they see."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import redis.asyncio
from aiohttp import web

from actors.kernel import Partitions
from actors.settings import load
from gateway.http.service import GatewayService
from tests.faults.history import HISTORY, Frame, Journal, WatcherLeft, read_history
from tests.faults.load import watching
from tests.faults.load.watching import Watcher
from tests.faults.plan import WatcherPlan
from tests.gateway.scripted_worker import ScriptedWorker
from tests.kernel.stages import eventually

KEY = "rw_a-key-for-tests"
WITHIN_S = 10.0
STAYS = WatcherPlan()
MakeWatcher = Callable[..., Watcher]


@pytest.fixture
async def gateways(tmp_path: Path, redis_url: str) -> AsyncIterator[list[GatewayService]]:
    """Two gateways, in this process."""
    values = {
        "data_dir": str(tmp_path),
        "redis.url": redis_url,
        "redis.partitions": 1,
        "gateway.key": KEY,
        "gateway.port": 0,
        "gateway.rate_requests": 0,
        "storage.min_free_bytes": 0,
        "kernel.window": 1000,
    }
    services = [GatewayService(load({}, overrides=values)) for _ in range(2)]
    for service in services:
        await service.start()
        await service.ready()
    yield services
    for service in services:
        await service.stop()


@pytest.fixture
async def worker(redis_client: redis.asyncio.Redis, partitions: Partitions) -> ScriptedWorker:
    return ScriptedWorker(redis_client, partitions)


@pytest.fixture
async def make_watcher(tmp_path: Path) -> AsyncIterator[MakeWatcher]:
    journal = Journal(tmp_path / HISTORY)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:

        def make(urls: list[str], plan: WatcherPlan = STAYS) -> Watcher:
            return Watcher("w", plan, session, urls, journal)

        yield make
    journal.close()


def frames(folder: Path) -> list[Frame]:
    return [event for event in read_history(folder) if isinstance(event, Frame)]


def left(folder: Path) -> list[str]:
    return [event.how for event in read_history(folder) if isinstance(event, WatcherLeft)]


async def until(condition: Callable[[], bool]) -> None:
    async def met() -> bool:
        return condition()

    await eventually(met, WITHIN_S)


async def at_its_end(watching_it: "asyncio.Task[None]") -> None:
    await asyncio.wait_for(watching_it, WITHIN_S)


async def test_a_job_is_followed_to_its_end_across_the_end_of_a_gateway(
    gateways: list[GatewayService], worker: ScriptedWorker, make_watcher: MakeWatcher, tmp_path: Path
) -> None:
    job = await worker.submit()
    watcher = make_watcher([gateway.url for gateway in gateways])
    watches = asyncio.create_task(watcher.run(job))
    await until(lambda: [frame.event for frame in frames(tmp_path)] == ["snapshot"])
    grant = await worker.take("ingest", job)
    await worker.beat(grant, 12.5)
    await until(lambda: "job.progress" in [frame.event for frame in frames(tmp_path)])
    used = next(gateway for gateway in gateways if len(gateway.context.streams))
    await used.drain()
    await worker.next(grant, "fetch")
    for stage, following in (("fetch", "transcode"), ("transcode", "store")):
        await worker.next(await worker.take(stage, job), following)
    await worker.done(await worker.take("store", job))
    await at_its_end(watches)
    shown = frames(tmp_path)
    durable = [frame for frame in shown if frame.event.startswith("job.") and frame.event != "job.progress"]
    assert [frame.rev for frame in durable] == list(range(2, 10))
    assert [frame.event for frame in shown][-2:] == ["job.completed", "end"]
    assert {frame.event for frame in shown} >= {"snapshot", "reconnect", "job.progress"}
    assert (shown[0].state, shown[0].rev, shown[0].percent) == ("queued", 1, 0.0)
    assert 12.5 in [frame.percent for frame in shown]
    assert {frame.connection for frame in shown} == {1, 2}
    assert all(frame.id for frame in durable)
    assert left(tmp_path) == ["end"]
    assert watcher.done


async def test_who_breaks_off_comes_back_with_its_cursor_and_misses_nothing(
    gateways: list[GatewayService], worker: ScriptedWorker, make_watcher: MakeWatcher, tmp_path: Path
) -> None:
    job = await worker.submit()
    watches = asyncio.create_task(make_watcher([gateways[0].url], WatcherPlan(breaks_after_s=0.1)).run(job))
    await until(lambda: len(frames(tmp_path)) == 1)
    # Its first connection is gone before anything else happens.
    await until(lambda: not len(gateways[0].context.streams))
    await worker.run(job)
    await at_its_end(watches)
    shown = frames(tmp_path)
    assert [frame.event for frame in shown].count("snapshot") == 1
    assert [frame.rev for frame in shown if frame.rev] == list(range(1, 10))
    assert {frame.connection for frame in shown} == {1, 2}
    assert left(tmp_path) == ["end"]


async def test_who_leaves_or_is_sent_home_says_so(
    gateways: list[GatewayService], worker: ScriptedWorker, make_watcher: MakeWatcher, tmp_path: Path
) -> None:
    job = await worker.submit()
    urls = [gateway.url for gateway in gateways]
    await make_watcher(urls, WatcherPlan(leaves_after_s=0.2)).run(job)
    assert left(tmp_path) == ["left"]
    watches = asyncio.create_task(make_watcher(urls).run(job))
    await until(lambda: len(frames(tmp_path)) == 2)
    watches.cancel()
    await asyncio.gather(watches, return_exceptions=True)
    assert left(tmp_path) == ["left", "run_over"]


async def test_a_job_that_stays_unknown_is_gone(
    gateways: list[GatewayService],
    worker: ScriptedWorker,
    make_watcher: MakeWatcher,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "GONE_AFTER_S", 0.5)
    await make_watcher([gateways[0].url]).run(worker.partitions.new_id("default"))
    assert (left(tmp_path), frames(tmp_path)) == (["gone"], [])


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def site() -> AsyncIterator[Callable[[Handler], Awaitable[str]]]:
    """Starts a site that answers everything with one handler; gives its address."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        application = web.Application()
        application.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(application)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return site.name

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_what_is_not_whole_is_not_seen_and_a_204_is_the_end(
    site: Callable[[Handler], Awaitable[str]], make_watcher: MakeWatcher, tmp_path: Path
) -> None:
    cursors: list[str | None] = []
    whole = b'id: e.7-0\nevent: job.started\ndata: {"rev": 7, "data": {}}\n\n'
    gap = b'id: e.9-0\nevent: job.stage\ndata: {"rev": 9, "data": {}}\n\n'
    half = b'id: e.9-1\nevent: job.started\ndata: {"rev": 10'

    async def answer(request: web.Request) -> web.StreamResponse:
        cursors.append(request.headers.get("Last-Event-ID"))
        if len(cursors) == 1:
            return web.Response(status=503)
        if len(cursors) == 3:
            return web.Response(status=204)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(
            b"retry: 20\nid: e.0-0\ndata:\n\n" + whole + b"event: heartbeat\ndata: {}\n\n" + gap + half
        )
        return response

    await asyncio.wait_for(make_watcher([await site(answer)]).run("j00-x"), WITHIN_S)
    assert cursors == [None, None, "e.9-0"]
    # A gap is for others to judge.
    assert [(frame.rev, frame.event) for frame in frames(tmp_path)] == [(7, "job.started"), (9, "job.stage")]
    assert left(tmp_path) == ["gone"]
