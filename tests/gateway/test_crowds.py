"""Many clients at once: none holds up another, gets another's answer, or costs Redis more than its share."""

import asyncio

import aiohttp
import redis.asyncio

from gateway.http.service import GatewayService
from tests.gateway.conftest import OpenStream, StartGateway, client_of
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker


async def test_one_dead_socket_does_not_stop_the_others(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    """The socket closes between the lookup of the watchers and the write."""
    job = await worker.submit()
    streams = [await open_stream(gateway, job) for _ in range(3)]
    for stream in streams:
        await stream.until("snapshot")
    served = tuple(gateway.context.streams._open)
    transport = served[1]._transport
    assert transport is not None
    transport.abort()
    assert not served[1].gone, "the gateway has not noticed yet"
    await worker.run(job)
    for stream in (streams[0], streams[2]):
        assert [frame.event for frame in await stream.rest()][-2:] == ["job.completed", "end"]
    assert gateway.context.pump.restarts == 0
    await eventually(lambda: len(gateway.context.streams) == 0)


async def test_a_blocked_read_holds_nobody_up(gateway: GatewayService, worker: ScriptedWorker) -> None:
    job = await worker.submit()
    loop = asyncio.get_running_loop()
    async with client_of(gateway) as api:
        for _ in range(20):
            began_s = loop.time()
            async with api.get(f"/v1/jobs/{job}") as response:
                assert response.status == 200
            assert loop.time() - began_s < 0.5


async def test_clients_that_leave_early_never_get_others_answers(
    gateway: GatewayService, worker: ScriptedWorker, redis_client: redis.asyncio.Redis
) -> None:
    """They leave while Redis has their questions and answers none. A handler of ours goes on nevertheless, and what it
    asked is answered to it: were it cancelled, redis-py would have to give the connection up."""
    jobs = [await worker.submit() for _ in range(11)]
    left = 0

    async def page(api: aiohttp.ClientSession, cursor: str) -> tuple[str, str]:
        async with api.get(f"/v1/jobs?limit=1&cursor={cursor}") as response:
            assert response.status == 200
            shown = await response.json()
            return shown["jobs"][0]["id"], shown["next"]

    async with client_of(gateway) as api:
        async with api.get("/v1/jobs?limit=1") as response:
            following = (await response.json())["next"]
        wanted: list[tuple[str, str]] = []
        for job in reversed(jobs[:10]):
            wanted.append((following, job))
            shown, following = await page(api, following)
            assert shown == job

        async def ask(cursor: str, job: str, patience_s: float) -> None:
            nonlocal left
            try:
                async with asyncio.timeout(patience_s):
                    assert (await page(api, cursor))[0] == job
            except TimeoutError:
                left += 1

        for turn in range(5):
            await redis_client.client_pause(100, all=True)
            await asyncio.gather(*(ask(*each, 0.02) for each in wanted))
            # Others behind them, who are answered once Redis goes on.
            await asyncio.gather(*(ask(*each, 20.0) for each in (*wanted[turn:], *wanted[:turn])))
    assert left == 50


async def test_bogus_cursors_cost_little(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    before = gateway.context.reader.calls
    streams = await asyncio.gather(*(open_stream(gateway, job, f"zz.{n}-1") for n in range(1, 301)))
    for stream in streams:
        assert (await stream.until("resync")).data["job"] == job
    assert gateway.context.reader.calls - before <= 100


async def test_a_storm_of_reconnects_does_not_reach_redis(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    """200 watchers of 200 jobs come back at once: to a gateway that has their events in memory, and to a new one."""
    gateway = await start_gateway()
    jobs = [await worker.submit() for _ in range(200)]
    await eventually(lambda: gateway.context.pump.events == 200)
    streams = await asyncio.gather(*(open_stream(gateway, job) for job in jobs))
    for stream in streams:
        await stream.until("snapshot")
        stream.abort()
    before = gateway.context.reader.calls
    again = await asyncio.gather(
        *(open_stream(gateway, job, stream.cursor) for job, stream in zip(jobs, streams, strict=True))
    )
    for stream in again:
        await stream.next()
    assert gateway.context.reader.calls == before, "served from memory"
    other = await start_gateway()
    again = await asyncio.gather(
        *(open_stream(other, job, stream.cursor) for job, stream in zip(jobs, streams, strict=True))
    )
    for stream in again:
        await stream.next()
    assert other.context.reader.calls <= 100, "read together"
    for job in jobs:
        await worker.submitter.cancel(job, "test")
    for stream in again:
        assert [frame.event for frame in await stream.rest()] == ["job.cancelled", "end"]
