"""Cases of leases, second part: those who act on what was true a moment ago."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from actors.kernel import Beat, Child, Commit, End, Fail, Grant, KernelOptions, Pulse, Result, Spawn, State, Task
from actors.kernel.scripts import text
from tests.kernel.cases.contents import contents
from tests.kernel.cases.hands import ENDINGS, Ending, Hands, lose_leases
from tests.kernel.cases.reaping import reaping
from tests.kernel.cases.worker_process import stops, submit, until_started, worker_processes
from tests.kernel.stages import Installation, Scripted, done, eventually, forever


async def test_case_06_a_beat_does_not_steal_a_lease_back(redis_url: str, tmp_path: Path) -> None:
    """Heartbeat steals back (streaq, docket, asynq by their code): the heartbeat of a worker that had been suspended
    took the job from the one that rightly had it.

    A process is stopped for longer than its lease, another takes over, the first goes on: its next beat is fenced, the
    handler is stopped at once, and the owner stays.
    """
    house = Installation(redis_url, KernelOptions(lease_s=0.4, beat_s=0.1))
    async with reaping(redis_url, house.options, tmp_path), worker_processes(house, 2) as workers:
        job = await submit(house, lasts_s=60)
        (first,) = await until_started(house, job)
        suspended = next(worker for worker in workers if worker.pid == first.pid)
        suspended.signal(signal.SIGSTOP)
        _, second = await until_started(house, job, 2)
        holder = await house.read(job)
        assert second.pid != first.pid
        suspended.signal(signal.SIGCONT)

        async def stopped() -> bool:
            return await stops(house) == [first]

        await eventually(stopped, 2.0)
        seen = await house.read(job)
        assert (seen.owner, seen.fence, seen.state) == (holder.owner, second.fence, State.RUNNING)
        assert seen.crashes == 0, "the beat proved that its worker lives: the charge was given back"
    await house.client.aclose()


@pytest.mark.parametrize("meanwhile", ["commit next", "commit done", "fail transient", "release"])
async def test_case_07_maintenance_looks_again_before_it_acts(house: Installation, meanwhile: str) -> None:
    """Maintenance acts on a stale snapshot (river #1302 and PR #1373, oban #532): a rescuer that had listed a job moved
    it back after it had completed.

    Every verb of the reaper lists and acts in one script. The two that are asked for jobs by name, `retention` and the
    giving back of an installation's leases, are given names and fences that have since become wrong.
    """
    hands = Hands(house)
    await house.submit()
    grant = await hands.take_one()
    await house.client.zadd(house.keys.leases, {grant.job: 1})
    await ENDINGS[meanwhile](hands, grant)
    after = await house.read(grant.job)
    before = await contents(house.client)
    assert await house.reap() == {}
    assert await house.keeper.retention("00", [grant.job]) == []
    assert await hands.release(grant) in (End.FENCED, End.ALREADY)
    assert await house.read(grant.job) == after
    assert await contents(house.client) == before


async def test_case_07_a_listed_job_that_was_taken_again_is_left_alone(house: Installation) -> None:
    """The second half of case 7: the job was retried and taken again between the list and the act."""
    hands, other = Hands(house), Hands(house, "other")
    job = await house.submit()
    listed = await hands.take_one()
    await lose_leases(house, job)
    holder = await other.take_one()
    await house.client.zadd(house.keys.deadlines, {job: 1})
    before = await contents(house.client)
    assert await hands.release(listed) == End.FENCED
    assert await house.keeper.retention("00", [job]) == []
    assert await contents(house.client) == before
    assert await other.commit(holder) == End.OK


async def test_case_07_a_job_that_is_replayed_is_not_forgotten(house: Installation) -> None:
    """The reaper sweeps files between `expire`, which lists what is over, and `retention`, which forgets it by name."""
    hands = Hands(house)
    job = await house.submit()
    await hands.fail(await hands.take_one(), "permanent")
    await house.keeper.purge("00", [job])
    assert (await house.keeper.expire("00")).retained == [job]
    assert (await house.submitter.replay(job, from_first=True)).outcome == "ok"
    assert await house.keeper.retention("00", [job]) == []
    assert await hands.commit(await hands.take_one()) == End.OK


async def _taken_again(house: Installation, hands: Hands, grant: Grant) -> None:
    await lose_leases(house, grant.job)
    await Hands(house, "other").take_one()
    # The one write of a reaped fence: the crash is given back, once.
    await hands.beat(grant)


async def _released_and_taken(house: Installation, hands: Hands, grant: Grant) -> None:
    await hands.release(grant)
    await Hands(house, "other").take_one()


async def _completed_by_another(house: Installation, hands: Hands, grant: Grant) -> None:
    await _taken_again(house, hands, grant)
    seen = await house.read(grant.job)
    await Hands(house).worker.commit("00", [Commit(grant.job, seen.fence, "done", "", "", b"{}")])


async def _failed_by_another(house: Installation, hands: Hands, grant: Grant) -> None:
    await _taken_again(house, hands, grant)
    seen = await house.read(grant.job)
    await Hands(house).worker.fail("00", [Fail(grant.job, seen.fence, "permanent", 0, 1, b"{}", b'{"code":"X"}')])


async def _expired(house: Installation, hands: Hands, grant: Grant) -> None:
    await house.client.zadd(house.keys.deadlines, {grant.job: 1})
    await house.keeper.expire("00")


async def _forgotten(house: Installation, hands: Hands, grant: Grant) -> None:
    await _completed_by_another(house, hands, grant)
    await house.client.zadd(house.keys.deadlines, {grant.job: 1})
    assert await house.keeper.retention("00", [grant.job]) == [grant.job]


LOSSES = [_taken_again, _released_and_taken, _completed_by_another, _failed_by_another, _expired, _forgotten]
Loss = Callable[[Installation, Hands, Grant], Awaitable[None]]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__.strip("_"))
async def test_case_08_a_worker_that_lost_its_job_writes_nothing(house: Installation, lose: Loss) -> None:
    """Zombie writes fields it no longer owns (bull #1416): a failure without an owner check resurrected a deleted job,
    whose id could then never be used again.

    Every way to write, by a worker whose fence no longer counts, leaves every key of the server identical to the byte,
    and makes none. (A reaped fence may take its crash back, once: that has happened before the look.)
    """
    hands = Hands(house)
    await house.submit()
    grant = await hands.take_one()
    await lose(house, hands, grant)
    before = await contents(house.client)
    told: dict[str, str] = {}
    for name, ending in ENDINGS.items():
        told[name] = await ending(hands, grant)
    child = Child(number=1, stage="a", spec=b"{}", input=b"{}")
    told["spawn"] = (await hands.worker.spawn("00", Spawn(grant.job, grant.fence, (child,)))).status
    progress = Beat(grant.job, grant.fence, 77.0, b'{"speed":9}')
    (pulse,) = await hands.worker.beat("00", [progress])
    assert await contents(house.client) == before
    refusals = {End.GONE} if lose is _forgotten else {End.FENCED}
    assert {end for name, end in told.items() if name != "release" or lose is not _released_and_taken} == refusals
    assert pulse in (Pulse.FENCED, Pulse.DEADLINE)


async def test_case_08_a_job_that_is_deleted_while_it_runs_stays_deleted(house: Installation) -> None:
    """The same when the hash of a running job is deleted by hand: no key of it comes back, its rows are dropped."""
    hands = Hands(house)
    job = await house.submit()
    grant = await hands.take_one()
    await house.client.delete(house.keys.job(job), house.keys.log(job))
    assert await hands.beat(grant, 50.0) == Pulse.FENCED
    assert {await ending(hands, grant) for ending in ENDINGS.values()} == {End.GONE}
    await house.client.zadd(house.keys.leases, {job: 1})
    await house.client.zadd(house.keys.deadlines, {job: 1})
    assert await house.reap() == {}
    await house.keeper.reconcile("00", "0")
    assert (await house.keeper.expire("00")).jobs == []
    assert not [text(key) for key in await house.client.keys("*") if job in text(key)]
    for name in (house.keys.leases, house.keys.active, house.keys.deadlines):
        assert await house.client.zcard(name) == 0
    following = await house.submit()
    async with house.running(house.actor(Scripted(done))):
        await house.until(following, State.COMPLETED)


async def test_case_08_an_actor_whose_job_is_deleted_stops_its_handler(house: Installation) -> None:
    """And the worker that was running it does not go on for nobody."""
    stopped = asyncio.Event()

    async def work(task: Task) -> Result:
        try:
            return await forever(task)
        finally:
            stopped.set()

    async with house.running(house.actor(Scripted(work))):
        job = await house.submit()
        await house.until(job, State.RUNNING)
        await house.client.delete(house.keys.job(job))
        await asyncio.wait_for(stopped.wait(), 5)
    assert not await house.client.exists(house.keys.job(job))


@pytest.mark.parametrize("reaper_first", [True, False])
async def test_case_39_a_sweep_never_meets_a_job_between_two_writes(house: Installation, reaper_first: bool) -> None:
    """Read-then-mark gap (saq #277): the sweeper hit jobs that had been popped and not yet marked as running.

    Popping and marking are one script, so reapers that run as fast as they can beside two hundred takes find nothing;
    and a worker that dies with the reply of its take unread loses the job for one lease and not for ever.
    """
    jobs = [await house.submit() for _ in range(200)]
    found: dict[str, str] = {}

    async def reap_on(taking: "asyncio.Task[list[Grant]]") -> None:
        while not taking.done():
            found.update(await house.reap())
            found.update((await house.keeper.reconcile("00", "0"))[1])

    async def take_all() -> list[Grant]:
        grants: list[Grant] = []
        while len(grants) < len(jobs):
            grants += await Hands(house, f"w{len(grants)}").take(1 if reaper_first else 3)
        return grants

    taking = asyncio.create_task(take_all())
    await asyncio.gather(taking, reap_on(taking), reap_on(taking))
    assert found == {}
    assert sorted(grant.job for grant in taking.result()) == sorted(jobs)
    unread = jobs[0]
    assert await lose_leases(house, unread) == {unread: "requeued"}
    assert (await Hands(house).take_one()).job == unread


@pytest.mark.parametrize("name", sorted(ENDINGS))
async def test_an_end_that_was_refused_is_refused_again(house: Installation, name: str) -> None:
    """What a fenced worker hears does not depend on how often it asks."""
    ending: Ending = ENDINGS[name]
    hands = Hands(house)
    await house.submit()
    grant = await hands.take_one()
    await _taken_again(house, hands, grant)
    assert [await ending(hands, grant) for _ in range(3)] == [End.FENCED] * 3


async def test_a_worker_that_was_reaped_gives_its_job_no_children(house: Installation) -> None:
    """Its end would still be accepted; children are for whoever takes the job next."""
    hands = Hands(house)
    job = await house.submit()
    grant = await hands.take_one()
    await lose_leases(house, job)
    before = await contents(house.client)
    child = Child(number=1, stage="a", spec=b"{}", input=b"{}")
    assert (await hands.worker.spawn("00", Spawn(grant.job, grant.fence, (child,)))).status == End.FENCED
    assert await contents(house.client) == before


async def test_a_take_that_was_undone_makes_no_fence_twice(house: Installation) -> None:
    """A failover may lose a take with its count: the next one has its number and another nonce."""
    first, second = Hands(house, "first"), Hands(house, "second")
    await house.submit()
    kept = {name: await house.client.dump(name) for name in await house.client.keys("*")}
    undone = await first.take_one()
    await house.client.flushdb()
    for name, value in kept.items():
        await house.client.restore(name, 0, value or b"")
    grant = await second.take_one()
    assert grant.fence.partition(".")[0] == undone.fence.partition(".")[0]
    assert await first.beat(undone) == Pulse.FENCED
    assert await first.commit(undone) == End.FENCED
    assert await second.commit(grant) == End.OK
