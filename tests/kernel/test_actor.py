"""The actor loop against a live Redis: who runs what, how often, and how it ends."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from actors.kernel import Done, KernelOptions, Next, Result, State, Task
from actors.kernel.scripts import script, text
from tests.conftest import RedisServer
from tests.kernel.proxy import LossyProxy
from tests.kernel.stages import Installation, Scripted, done, eventually


@pytest.fixture
async def house(redis_url: str, kernel_options: KernelOptions) -> AsyncIterator[Installation]:
    installation = Installation(redis_url, kernel_options)
    yield installation
    await installation.client.aclose()


async def forever(task: Task) -> Result:
    await asyncio.Event().wait()
    return Done(b"{}")


async def test_a_chain_of_stages_runs_in_order(house: Installation) -> None:
    async def first(task: Task) -> Result:
        task.report(40.0, b'{"stage":"a"}')
        return Next("b", b'{"from":"a"}', ("work/x",))

    async def second(task: Task) -> Result:
        assert (task.input, task.refs) == (b'{"from":"a"}', ("work/x",))
        return Done(b'{"r":1}', b'{"outputs":[]}')

    async with house.running(house.actor(Scripted(first)), house.actor(Scripted(second, "b"))):
        job = await house.submit()
        seen = await house.until(job, State.COMPLETED)
    assert (seen.result, seen.percent) == (b'{"r":1}', 100.0)


async def test_two_actors_of_one_kind_share_the_work_and_repeat_none(house: Installation) -> None:
    handlers = Scripted(done), Scripted(done)
    async with house.running(*(house.actor(handler, concurrency=2) for handler in handlers)):
        jobs = [await house.submit() for _ in range(60)]
        for job in jobs:
            await house.until(job, State.COMPLETED)
    started = [job for handler in handlers for job, _ in handler.started]
    assert sorted(started) == sorted(jobs)


async def test_never_more_jobs_at_once_than_the_concurrency(house: Installation) -> None:
    running, highest = 0, 0

    async def count(task: Task) -> Result:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await asyncio.sleep(0)
        running -= 1
        return Done(b"{}")

    jobs = [await house.submit() for _ in range(20)]
    async with house.running(house.actor(Scripted(count), concurrency=3)):
        for job in jobs:
            await house.until(job, State.COMPLETED)
    assert highest == 3


async def test_cancel_reaches_a_running_handler(house: Installation) -> None:
    handler = Scripted(forever)
    async with house.running(house.actor(handler)):
        job = await house.submit()
        await house.until(job, State.RUNNING)
        assert (await house.submitter.cancel(job, "ann")).outcome == "flagged"
        await house.until(job, State.CANCELLED)
    assert len(handler.started) == 1


async def test_deadline_stops_a_running_handler(house: Installation) -> None:
    stopped = asyncio.Event()

    async def work(task: Task) -> Result:
        await task.cancelled.wait()
        stopped.set()
        return await forever(task)

    async with house.running(house.actor(Scripted(work))):
        job = await house.submit()
        await house.until(job, State.RUNNING)
        await house.client.zadd(house.keys.deadlines, {job: 1})
        await house.keeper.expire("00")
        await asyncio.wait_for(stopped.wait(), 5)
    assert (await house.read(job)).state == State.EXPIRED


async def test_a_stage_of_many_leases_runs_once(house: Installation) -> None:
    async def long(task: Task) -> Result:
        await asyncio.sleep(house.options.lease_s * 3)
        return Done(b"{}")

    handler = Scripted(long)
    async with house.running(house.actor(handler)):
        job = await house.submit()
        await house.until(job, State.RUNNING)
        while (await house.read(job)).state == State.RUNNING:
            assert await house.reap() == {}
            await asyncio.sleep(0.02)
    assert len(handler.started) == 1


async def test_a_blocked_event_loop_keeps_its_leases(house: Installation) -> None:
    def block(task: Task) -> None:
        time.sleep(house.options.lease_s * 2)

    async def work(task: Task) -> Result:
        block(task)
        return Done(b"{}")

    handler = Scripted(work)
    async with house.running(house.actor(handler)):
        job = await house.submit()
        await house.until(job, State.COMPLETED)
        assert await house.reap() == {}
    assert len(handler.started) == 1


async def test_a_standing_job_is_stopped_and_fails_as_stalled(house: Installation) -> None:
    handler = Scripted(forever)
    async with house.running(house.actor(handler, stall_timeout_s=0.2)):
        job = await house.submit()
        seen = await house.until(job, State.DELAYED)
    assert (seen.attempt, seen.crashes, seen.reason is not None) == (1, 0, True)


async def test_progress_calms_the_stall_watchdog(house: Installation) -> None:
    async def moving(task: Task) -> Result:
        for step in range(20):
            task.report(float(step), b"{}")
            await asyncio.sleep(0.02)
        return Done(b"{}")

    async with house.running(house.actor(Scripted(moving), stall_timeout_s=0.2)):
        job = await house.submit()
        seen = await house.until(job, State.COMPLETED, State.DELAYED)
    assert seen.state == State.COMPLETED


async def test_beats_of_an_unstoppable_handler_end_after_the_kill_grace(house: Installation) -> None:
    finish = asyncio.Event()

    async def stubborn(task: Task) -> Result:
        while not finish.is_set():
            try:
                await finish.wait()
            except asyncio.CancelledError:
                continue
        return Done(b"{}")

    handler = Scripted(stubborn)
    async with house.running(house.actor(handler, concurrency=1, stall_timeout_s=0.1, kill_grace_s=0.1)):
        job = await house.submit()

        async def reaped() -> bool:
            return await house.reap() == {job: "requeued"}

        await eventually(reaped)
        assert (await house.read(job)).crashes == 1
        finish.set()
        await house.until(job, State.COMPLETED)
    assert len(handler.started) == 1, "its result was accepted late, since nobody had taken the job again"


async def test_a_fenced_handler_is_stopped(house: Installation) -> None:
    stopped = asyncio.Event()

    async def work(task: Task) -> Result:
        try:
            return await forever(task)
        finally:
            stopped.set()

    async with house.running(house.actor(Scripted(work))):
        job = await house.submit()
        await house.until(job, State.RUNNING)
        await house.client.hset(house.keys.job(job), "fence", "9.other")
        await asyncio.wait_for(stopped.wait(), 5)
    assert (await house.read(job)).fence == "9.other"


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


@pytest.mark.parametrize("wrong", [None, KeyError("x")])
async def test_a_bug_of_a_handler_is_an_error_of_the_job_not_of_the_actor(
    house: Installation, wrong: Exception | None
) -> None:
    async def work(task: Task) -> Result:
        if wrong is not None:
            raise wrong
        return None  # type: ignore[return-value]

    async with house.running(house.actor(Scripted(work))):
        job = await house.submit()
        seen = await house.until(job, State.DELAYED)
        assert seen.attempt == 1


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
            return bool(actor._unanswered)

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


async def test_ended_work_leaves_only_what_has_an_owner(house: Installation) -> None:
    async with house.running(house.actor(Scripted(done))):
        job = await house.submit()
        await house.until(job, State.COMPLETED)
    lengths = {text(key): await house.client.xlen(key) for key in await house.client.keys(house.keys.root + "in:*")}
    assert set(lengths.values()) == {0}
    for name in (house.keys.leases, house.keys.due, house.keys.active):
        assert await house.client.zcard(name) == 0
