"""Actors of one process go on with each other's jobs, where nobody else waits."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from redis.exceptions import ResponseError

from actors.kernel import Actor, ActorOptions, Commit, Done, End, Grant, Neighbours, Next, Result, State, Task, Worker
from actors.kernel import read_log as read_whole_log
from actors.kernel.neighbours import following_grant
from tests.kernel.cases.hands import Hands, commit_of, lose_leases
from tests.kernel.stages import Installation, Plain, Scripted, done, eventually, forever


async def go_on(task: Task) -> Result:
    return Next("b", b'{"from":"a"}', refs=("work/x",))


def neighbour(house: Installation, handler: Scripted, neighbours: Neighbours, **options: Any) -> Actor:
    return Actor(
        house.redis_options, house.partitions, house.options, handler, Plain(), ActorOptions(**options),
        neighbours=neighbours,
    )  # fmt: skip


@asynccontextmanager
async def two_stages(
    house: Installation, first: Scripted, second: Scripted, **options: Any
) -> AsyncIterator[list[Actor]]:
    """Stage `b` begins first, so that it is there when `a` ends its first job."""
    neighbours = Neighbours()
    actors = [neighbour(house, second, neighbours, **options), neighbour(house, first, neighbours)]
    async with house.running(*actors):
        yield actors


async def hints_ever(house: Installation, stage: str) -> bool:
    """Whether a hint has ever lain in the stage's normal inbox."""
    try:
        facts: Any = await house.client.xinfo_stream(house.keys.inbox(stage, "cpu", "normal"))
    except ResponseError:
        return False
    return bool(facts["last-generated-id"] != b"0-0")


def kept(grant: Grant, worker: str = "w2") -> Commit:
    return msgspec.structs.replace(commit_of(grant, "b"), keep=worker)


async def commit_kept(hands: Hands, grant: Grant) -> End:
    (end,) = await hands.worker.commit("00", [kept(grant)])
    return end


async def test_a_job_goes_on_without_a_hint(house: Installation) -> None:
    seen: list[Grant] = []

    async def look(task: Task) -> Result:
        seen.append(task.grant)
        return Done(b"{}")

    async with two_stages(house, Scripted(go_on), Scripted(look, "b")) as (second, _):
        job = await house.submit()
        view = await house.until(job, State.COMPLETED)
        assert view.owner == second.worker_name
    assert not await hints_ever(house, "b")
    (grant,) = seen
    assert (grant.stage, grant.input, grant.refs, grant.attempt) == ("b", b'{"from":"a"}', ("work/x",), 0)
    assert grant.fence.startswith("2.")
    log = await read_whole_log(house.client, house.partitions, job)
    assert [entry.type.removeprefix("job.") for entry in log] == ["queued", "started", "stage", "started", "completed"]
    assert [entry.rev for entry in log] == [1, 2, 3, 4, 5]
    assert await house.client.zcard(house.keys.leases) == 0


async def test_what_the_worker_goes_on_with_is_what_take_would_have_granted(house: Installation) -> None:
    hands = Hands(house)
    await house.submit()
    grant = await hands.take_one(nonce="n")
    assert await commit_kept(hands, grant) is End.KEPT
    following = following_grant(grant, Next("b", b"{}"), grant.percent)
    assert await commit_kept(hands, grant) is End.KEPT
    # Given back, it is granted to the next taker, who is told the same of it but the fence.
    assert await hands.release(following) is End.OK
    taken = await hands.take_one(stage="b", nonce="m")
    assert taken.fence == "3.m"
    assert msgspec.structs.replace(taken, fence=following.fence) == following


async def test_whoever_waits_goes_first(house: Installation) -> None:
    """A worker that kept its jobs would keep others out for ever."""
    hands = Hands(house)
    waiting = await house.submit("b")
    job = await house.submit()
    grant = await hands.take_one()
    assert await commit_kept(hands, grant) is End.OK
    assert (await house.read(job)).state in (State.QUEUED, State.HELD)
    assert [grant.job for grant in await hands.take(stage="b")] == [waiting, job]


@pytest.mark.parametrize("inbox", ["again", "alone", "high", "low"])
async def test_whoever_waits_in_another_inbox_goes_first(house: Installation, inbox: str) -> None:
    hands = Hands(house)
    grant = await hands.take_one() if await house.submit() else None
    assert grant is not None
    await house.client.xadd(house.keys.inbox("b", "cpu", inbox), {"job": "j00-other"})
    assert await commit_kept(hands, grant) is End.OK


async def test_an_earlier_item_of_the_same_call_goes_first(house: Installation) -> None:
    hands = Hands(house)
    grants = []
    for _ in range(3):
        await house.submit()
        grants += await hands.take(1)
    ends = await hands.worker.commit("00", [kept(grants[0]), commit_of(grants[1], "b"), kept(grants[2])])
    assert ends == [End.KEPT, End.OK, End.OK]


async def test_a_job_of_a_paused_stage_is_not_kept(house: Installation) -> None:
    hands = Hands(house)
    await house.submit()
    grant = await hands.take_one()
    await house.client.hset(f"{house.keys.root}paused", "b", "operator")
    assert await commit_kept(hands, grant) is End.OK


async def test_a_job_past_its_deadline_is_not_kept(house: Installation) -> None:
    hands = Hands(house)
    job = await house.submit()
    grant = await hands.take_one()
    await house.client.hset(house.keys.job(job), "deadline", 1)
    assert await commit_kept(hands, grant) is End.OK
    assert await hands.take(stage="b") == []
    assert (await house.read(job)).state is State.EXPIRED


async def test_a_lost_reply_does_not_lose_the_job(house: Installation) -> None:
    """The call is sent again, and renews the lease."""
    hands = Hands(house)
    job = await house.submit()
    grant = await hands.take_one()
    assert await commit_kept(hands, grant) is End.KEPT
    await house.client.zadd(house.keys.leases, {job: 5})
    assert await commit_kept(hands, grant) is End.KEPT
    assert (await house.client.zscore(house.keys.leases, job) or 0) > await house.keeper.server_time_ms()
    assert await house.reap() == {}
    assert (await house.read(job)).rev == 4, "nothing is told twice"


async def test_a_lost_reply_costs_no_crash_although_the_lease_ran_out(house: Installation) -> None:
    hands = Hands(house)
    job = await house.submit()
    grant = await hands.take_one()
    assert await commit_kept(hands, grant) is End.KEPT
    assert await lose_leases(house, job) == {job: "requeued"}
    assert await commit_kept(hands, grant) is End.KEPT
    view = await house.read(job)
    assert (view.state, view.crashes) == (State.RUNNING, 0)
    assert await hands.commit(following_grant(grant, Next("b", b"{}"), 0.0)) is End.OK


async def test_once_another_has_it_the_worker_is_told(house: Installation) -> None:
    hands, others = Hands(house), Hands(house, "other")
    job = await house.submit()
    grant = await hands.take_one()
    assert await commit_kept(hands, grant) is End.KEPT
    assert await lose_leases(house, job) == {job: "requeued"}
    taken = await others.take_one("b")
    assert await commit_kept(hands, grant) is End.FENCED
    assert await hands.commit(following_grant(grant, Next("b", b"{}"), 0.0)) is End.FENCED
    assert await others.commit(taken) is End.OK


async def test_a_neighbour_without_a_place_is_not_asked_for_one(house: Installation) -> None:
    """Never more jobs at once than it was told, whatever its neighbours bring."""
    go, at_once, most = asyncio.Event(), 0, 0

    async def slow(task: Task) -> Result:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await go.wait()
        at_once -= 1
        return Done(b"{}")

    async with two_stages(house, Scripted(go_on), Scripted(slow, "b"), concurrency=2) as (second, _):
        jobs = [await house.submit() for _ in range(6)]

        async def handed_on() -> bool:
            views = [await house.read(job) for job in jobs]
            return second.running == 2 and all(view.stage == "b" for view in views)

        await eventually(handed_on)
        go.set()
        for job in jobs:
            await house.until(job, State.COMPLETED)
    assert most == 2


async def test_a_place_that_was_not_needed_is_free_again(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """`b` has one place. The commit that would have kept it is answered OK, and the next job is taken."""
    commit = Worker.commit

    async def never_kept(worker: Worker, partition: str, commits: Sequence[Commit]) -> list[End]:
        return await commit(worker, partition, [msgspec.structs.replace(each, keep="") for each in commits])

    monkeypatch.setattr(Worker, "commit", never_kept)
    async with two_stages(house, Scripted(go_on), Scripted(done, "b"), concurrency=1):
        for _ in range(3):
            await house.until(await house.submit(), State.COMPLETED)


async def test_a_neighbour_that_drains_is_given_nothing(house: Installation) -> None:
    async with two_stages(house, Scripted(go_on), Scripted(done, "b")) as (second, _):
        await second.drain()
        job = await house.submit()

        async def handed_on() -> bool:
            view = await house.read(job)
            return (view.state, view.stage) == (State.QUEUED, "b")

        await eventually(handed_on)


def answer_late(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """A commit that keeps its job has been run, and its answer arrives when the second event is set."""
    commit, sent, answered = Worker.commit, asyncio.Event(), asyncio.Event()

    async def late(worker: Worker, partition: str, commits: Sequence[Commit]) -> list[End]:
        ends = await commit(worker, partition, commits)
        if commits[0].keep:
            sent.set()
            await answered.wait()
        return ends

    monkeypatch.setattr(Worker, "commit", late)
    return sent, answered


async def test_a_stop_gives_back_the_job_that_is_being_handed_over(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, answered = answer_late(monkeypatch)
    async with two_stages(house, Scripted(go_on), Scripted(forever, "b")) as (second, _):
        job = await house.submit()
        await sent.wait()
        stopping = asyncio.create_task(second.stop())
        await asyncio.wait({stopping}, timeout=0.3)
        answered.set()
        await asyncio.wait_for(stopping, 5.0)
        view = await house.read(job)
        assert (view.state, view.stage, view.crashes, view.attempt) == (State.QUEUED, "b", 0, 0)


async def test_a_drain_waits_for_the_job_that_is_being_handed_over(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, answered = answer_late(monkeypatch)
    async with two_stages(house, Scripted(go_on), Scripted(done, "b")) as (second, _):
        job = await house.submit()
        await sent.wait()
        draining = asyncio.create_task(second.drain())
        await asyncio.wait({draining}, timeout=0.3)
        assert not draining.done()
        answered.set()
        await draining
        assert (await house.read(job)).state is State.COMPLETED
