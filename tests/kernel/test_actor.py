"""The actor loop against a live Redis: who runs what, how often, and how it ends."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from actors.kernel import Done, Next, Result, State, Task, watchdog
from actors.kernel.scripts import text
from tests.kernel.cases.hands import Hands, lose_leases
from tests.kernel.stages import Installation, Scripted, done, eventually, forever


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


@pytest.mark.parametrize("body", [Next("b", bytes(65_537)), Done(bytes(65_537))])
async def test_a_body_over_64_kib_is_a_bug_of_its_stage(house: Installation, body: Result) -> None:
    async def large(task: Task) -> Result:
        return body

    async with house.running(house.actor(Scripted(large))):
        seen = await house.until(await house.submit(), State.DELAYED)
    assert (seen.stage, seen.attempt, seen.error) == ("a", 1, None)


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


async def test_leases_of_an_event_loop_that_never_turns_run_out(house: Installation) -> None:
    """Nobody watches over its work, so it is given to somebody else."""
    stall_timeout_s, kill_grace_s = 0.3, 0.3
    left_ms: list[float] = []

    async def lease_left_ms(job: str) -> float:
        other = Installation(house.redis_options.url, house.options)
        ends_ms = await other.client.zscore(house.keys.leases, job)
        now_ms = await other.keeper.server_time_ms()
        await other.client.aclose()
        return (ends_ms or 0.0) - now_ms

    def look(task: Task, blocked_s: float) -> None:
        time.sleep(blocked_s)
        with ThreadPoolExecutor(1) as beside:
            left_ms.append(beside.submit(asyncio.run, lease_left_ms(task.job)).result())

    async def work(task: Task) -> Result:
        look(task, 0.0)
        look(task, stall_timeout_s + kill_grace_s + house.options.lease_s * 2)
        return Done(b"{}")

    options = {"stall_timeout_s": stall_timeout_s, "kill_grace_s": kill_grace_s}
    async with house.running(house.actor(Scripted(work), **options)):
        job = await house.submit()
        await house.until(job, State.COMPLETED)
    held_ms, lost_ms = left_ms
    assert held_ms > 0 > lost_ms


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

        try:
            await eventually(reaped)
        finally:
            # Otherwise it could be stopped by nobody, and this test would not end.
            finish.set()
        assert (await house.read(job)).crashes == 1
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


async def test_ended_work_leaves_only_what_has_an_owner(house: Installation) -> None:
    async with house.running(house.actor(Scripted(done))):
        job = await house.submit()
        await house.until(job, State.COMPLETED)
    lengths = {text(key): await house.client.xlen(key) for key in await house.client.keys(house.keys.root + "in:*")}
    assert set(lengths.values()) == {0}
    for name in (house.keys.leases, house.keys.due, house.keys.active):
        assert await house.client.zcard(name) == 0


async def test_time_in_which_the_worker_was_stopped_is_no_stall(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing could move while the whole process stood still, as it does in a suspended machine."""
    monkeypatch.setattr(watchdog, "LOOK_S", 0.1)

    def stand_still() -> None:
        time.sleep(0.8)

    async def work(task: Task) -> Result:
        await asyncio.sleep(0.15)
        stand_still()
        await asyncio.sleep(0.1)
        return Done(b"{}")

    async with house.running(house.actor(Scripted(work), stall_timeout_s=0.6)):
        seen = await house.until(await house.submit(), State.COMPLETED, State.DELAYED)
    assert seen.state == State.COMPLETED


async def test_returned_work_is_started_first(house: Installation) -> None:
    hands = Hands(house)
    returned = await house.submit()
    await hands.release(await hands.take_one())
    others = [await house.submit() for _ in range(3)]
    handler = Scripted(done)
    async with house.running(house.actor(handler, concurrency=1)):
        for job in others:
            await house.until(job, State.COMPLETED)
    assert handler.started[0][0] == returned


async def test_nothing_is_taken_beside_a_suspect(house: Installation) -> None:
    """It has cost two workers; what ran beside it would be charged with the third."""
    suspect = await house.submit()
    await house.client.hset(house.keys.job(suspect), mapping={"crashes": 1, "extra": 1})
    await Hands(house).take_one()
    assert await lose_leases(house, suspect) == {suspect: "requeued"}
    go_on, started = asyncio.Event(), asyncio.Event()

    async def work(task: Task) -> Result:
        if task.job == suspect:
            await go_on.wait()
        else:
            started.set()
        return Done(b"{}")

    async with house.running(house.actor(Scripted(work), concurrency=4)):
        await house.until(suspect, State.RUNNING)
        other = await house.submit()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(started.wait(), 0.3)
        go_on.set()
        await house.until(other, State.COMPLETED)
