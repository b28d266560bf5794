"""How an actor stops: what finishes, what is given back, and that beats go on meanwhile."""

import asyncio
import time

import pytest

from actors.kernel import Done, Result, State, Task
from tests.kernel.stages import Installation, Scripted, done, forever


async def test_drain_lets_a_running_job_finish_while_beats_go_on(house: Installation) -> None:
    async def long(task: Task) -> Result:
        await asyncio.sleep(house.options.lease_s * 2)
        return Done(b"{}")

    handler = Scripted(long)
    actor = house.actor(handler, drain_grace_s=10)
    await actor.start()
    job = await house.submit()
    await house.until(job, State.RUNNING)
    draining = asyncio.create_task(actor.drain())
    while not draining.done():
        assert await house.reap() == {}
        await asyncio.sleep(0.02)
    await actor.stop()
    assert (await house.read(job)).state == State.COMPLETED
    assert len(handler.started) == 1


async def test_a_draining_actor_takes_nothing_new(house: Installation) -> None:
    handler = Scripted(done)
    actor = house.actor(handler)
    await actor.start()
    await actor.ready()
    await actor.drain()
    job = await house.submit()
    await actor.stop()
    assert (await house.read(job)).state == State.QUEUED


async def test_what_does_not_fit_into_the_grace_is_given_back_uncharged(house: Installation) -> None:
    actor = house.actor(Scripted(forever), drain_grace_s=0.05)
    await actor.start()
    job = await house.submit()
    await house.until(job, State.RUNNING)
    await actor.drain()
    await actor.stop()
    seen = await house.read(job)
    assert (seen.state, seen.attempt, seen.crashes) == (State.QUEUED, 0, 0)
    async with house.running(house.actor(Scripted(done))):
        await house.until(job, State.COMPLETED)


@pytest.mark.parametrize("wait_s", [0.0, 0.001, 0.1])
async def test_an_idle_actor_stops_at_once(house: Installation, wait_s: float) -> None:
    actor = house.actor(Scripted(done))
    await actor.start()
    await actor.ready()
    await asyncio.sleep(wait_s)
    began_s = time.monotonic()
    await actor.drain()
    await actor.stop()
    assert time.monotonic() - began_s < 1, "far less than the doorbell blocks"
