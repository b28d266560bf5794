"""The actor loop while Redis loses replies, crashes, refuses and forgets."""

import asyncio

import pytest

from actors.kernel import Done, KernelOptions, Result, State, Task
from actors.kernel.scripts import script
from tests.conftest import RedisServer
from tests.kernel.proxy import LossyProxy
from tests.kernel.stages import Installation, Scripted, done, eventually, forever


@pytest.mark.parametrize("verb", ["take", "commit"])
async def test_a_lost_reply_changes_nothing(own_redis_server: RedisServer, verb: str) -> None:
    proxy = LossyProxy(own_redis_server.directory / "proxy.sock", own_redis_server.socket)
    await proxy.start()
    house = Installation(own_redis_server.url, KernelOptions(lease_s=0.6, beat_s=0.15))
    behind = Installation(proxy.url, house.options)
    handler = Scripted(done)
    try:
        async with behind.running(behind.actor(handler)):
            proxy.lose_next_reply(script(verb).digest.encode())
            job = await house.submit()
            await asyncio.wait_for(proxy.lost.wait(), 5)
            seen = await house.until(job, State.COMPLETED)
    finally:
        await house.client.aclose()
        await behind.client.aclose()
        await proxy.stop()
    assert (len(handler.started), seen.takes, seen.crashes) == (1, 1, 0)


@pytest.mark.parametrize("drains", [True, False])
async def test_what_a_take_without_an_answer_granted_is_given_back_at_the_end(
    own_redis_server: RedisServer, drains: bool
) -> None:
    proxy = LossyProxy(own_redis_server.directory / "proxy.sock", own_redis_server.socket)
    await proxy.start()
    house = Installation(own_redis_server.url, KernelOptions(lease_s=30, beat_s=0.15))
    behind = Installation(proxy.url, house.options)
    handler = Scripted(done)
    actor = behind.actor(handler)
    try:
        await actor.start()
        await actor.ready()
        proxy.lose_next_reply(script("take").digest.encode())
        job = await house.submit()
        await asyncio.wait_for(proxy.lost.wait(), 10)
        if drains:
            await actor.drain()
        await actor.stop()
        seen = await house.read(job)
    finally:
        await house.client.aclose()
        await behind.client.aclose()
        await proxy.stop()
    assert (handler.started, seen.state, seen.takes, seen.crashes) == ([], State.QUEUED, 1, 0)


async def test_an_actor_survives_a_crash_of_redis(own_redis_server: RedisServer) -> None:
    house = Installation(own_redis_server.url, KernelOptions(lease_s=5, beat_s=0.15))
    release = asyncio.Event()

    async def work(task: Task) -> Result:
        await release.wait()
        return Done(b"{}")

    handler = Scripted(work)
    async with house.running(house.actor(handler)):
        running = await house.submit()
        await house.until(running, State.RUNNING)
        own_redis_server.kill()
        own_redis_server.start()
        waiting = await house.submit()
        release.set()
        await house.until(running, State.COMPLETED)
        await house.until(waiting, State.COMPLETED, within_s=5)
    await house.client.aclose()
    assert len(handler.started) == 2


async def test_an_actor_goes_on_after_a_take_that_redis_refuses(house: Installation) -> None:
    inbox = house.keys.inbox("a", "cpu", "again")
    await house.client.set(inbox, "not a stream")
    actor = house.actor(Scripted(done))
    await actor.start()
    try:
        job = await house.submit()

        async def refused() -> bool:
            return actor._taking.unanswered > 0

        await eventually(refused)
        await house.client.delete(inbox)
        await house.until(job, State.COMPLETED)
    finally:
        await actor.stop()


async def test_an_actor_stops_although_redis_is_gone(own_redis_server: RedisServer) -> None:
    house = Installation(own_redis_server.url, KernelOptions(lease_s=0.5, beat_s=0.15))
    actor = house.actor(Scripted(forever), kill_grace_s=0.2)
    await actor.start()
    job = await house.submit()
    await house.until(job, State.RUNNING)
    own_redis_server.kill()
    await asyncio.wait_for(actor.stop(), 8)
    await house.client.aclose()


async def test_scripts_are_sent_again_when_redis_forgot_them(house: Installation) -> None:
    async with house.running(house.actor(Scripted(done))):
        for _ in range(5):
            await house.client.script_flush()
            job = await house.submit()
            await house.until(job, State.COMPLETED)


async def test_a_waiting_actor_makes_no_errors(own_redis_server: RedisServer) -> None:
    house = Installation(own_redis_server.url, KernelOptions())

    async def errors() -> dict[str, object]:
        counts = dict(await house.client.info("errorstats"))
        counts.pop("errorstat_NOSCRIPT", None)
        return counts

    async with house.running(house.actor(Scripted(done))):
        await house.until(await house.submit(), State.COMPLETED)
        before = await errors()
        await house.until(await house.submit(), State.COMPLETED, within_s=1)
        assert await errors() == before
    await house.client.aclose()
