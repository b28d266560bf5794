"""Case 11 of docs/guarantees.md: every auxiliary key is lost in turn, and every living job still ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actors.kernel import Child, Done, Fail, KernelOptions, Result, Spawn, State, Submission, Task, end_tasks
from actors.kernel.keys import GROUP
from tests.kernel.cases.contents import contents
from tests.kernel.cases.hands import REASON, Hands, commit_of
from tests.kernel.stages import Installation, Scripted, server_ms

OPTIONS = KernelOptions(lease_s=0.6, beat_s=0.15)
LOST = [
    "leases", "due", "active", "deadlines", "feed", "pulse", "epoch", "dead", "jobs:t", "run:t", "hold:t", "turns",
    "ready:a:cpu:t", "width:a:cpu", "limit:t", "in:a:cpu:normal", "in:a:cpu:again", "log:{running}", "kids:{parent}",
    "idem:t:k",
]  # fmt: skip


class Jobs:
    """One job in every state in which something is kept about it beside its hash."""

    def __init__(self, house: Installation) -> None:
        self.house = house
        self.go_on = asyncio.Event()

    async def begin(self) -> None:
        hands, house = Hands(self.house, "gone"), self.house
        await house.keeper.set_limit("t", 6)
        self.dead = await house.submit()
        await hands.take_one()
        await house.client.zadd(house.keys.leases, {self.dead: await server_ms(house.client) + 100})
        self.delayed = await house.submit()
        grant = await hands.take_one()
        await hands.worker.fail("00", [Fail(grant.job, grant.fence, "transient", 100, 9, b"{}", REASON)])
        self.parent = await house.submit()
        grant = await hands.take_one()
        child = Child(number=1, stage="a", spec=b"{}", input=b"{}")
        await hands.worker.spawn("00", Spawn(grant.job, grant.fence, (child,)))
        await hands.worker.commit("00", [commit_of(grant, "a", split=True)])
        keyed = Submission(tenant="t", stage="a", spec=b"{}", input=b"{}", idempotency_key="k", digest="d")
        self.waiting = [(await house.submitter.submit(keyed)).job, *[await house.submit() for _ in range(4)]]
        self.all = [self.dead, self.delayed, self.parent, f"{self.parent}.1", *self.waiting]

    async def work(self, task: Task) -> Result:
        if task.job == self.running:
            await self.go_on.wait()
        return Done(b"{}")

    async def run_one(self) -> None:
        """One job that a healthy worker holds all the time."""
        self.running = (
            await self.house.submitter.submit(
                Submission(tenant="t", stage="a", spec=b"{}", input=b"{}", priority="high", job="j00-running")
            )
        ).job
        self.all.append(self.running)


@asynccontextmanager
async def keeping(house: Installation) -> AsyncIterator[None]:
    """The reaper's verbs all the time, without its watching first: the server of this test does not stall."""

    async def keep() -> None:
        while True:
            await house.keeper.promote("00")
            await house.reap()
            await house.keeper.expire("00")
            await house.keeper.reconcile("00", "0")
            await asyncio.sleep(0.02)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        await end_tasks([keeping])


@pytest.mark.parametrize("name", [*LOST, "group", "consumers", "entries"])
async def test_case_11_no_other_ledger_decides(redis_url: str, name: str) -> None:
    """Two ledgers diverge (asynq #1144 and PR #1158): an entry of the active list without its lease row was stuck.

    The hash is the truth. Whatever else is lost, every job ends, the one that a healthy worker holds starts once, and
    nothing is left of any of them in the ledgers of the living.
    """
    house = Installation(redis_url, OPTIONS)
    jobs = Jobs(house)
    await jobs.begin()
    await jobs.run_one()
    handler = Scripted(jobs.work)
    async with house.running(house.actor(handler, concurrency=1)):
        await house.until(jobs.running, State.RUNNING)
        await _lose(house, name.format(running=jobs.running, parent=jobs.parent))
        # Its worker is busy, so everything else waits: what is repaired is repaired while it waits.
        async with keeping(house):
            other = Scripted(jobs.work)
            async with house.running(house.actor(other, concurrency=4)):
                for job in jobs.all:
                    if job != jobs.running:
                        assert (await house.until(job, State.COMPLETED)).attempt <= 1
                for rows in (house.keys.deadlines, house.keys.leases):
                    assert await house.client.zscore(rows, jobs.running) is not None
                jobs.go_on.set()
                assert (await house.until(jobs.running, State.COMPLETED)).takes == 1
    started = [job for job, _ in (*handler.started, *other.started)]
    assert started.count(jobs.running) == 1
    assert await house.client.zcard(house.keys.active) == 0
    assert await house.client.zcard(house.keys.leases) == 0
    assert await house.client.scard(house.keys.slots("t")) == 0
    await house.client.aclose()


async def test_case_11_rows_that_tell_of_a_job_elsewhere_are_dropped(redis_url: str) -> None:
    """A row too many is as harmless as one too few: each verb looks at the hash before it acts on a row."""
    house = Installation(redis_url, KernelOptions(lease_s=30))
    hands = Hands(house)
    done, running, delayed, queued, held = [await house.submit() for _ in range(5)]
    await hands.commit(await hands.take_one())
    await hands.take_one()
    await hands.fail(await hands.take_one())
    states = {job: (await house.read(job)).state for job in (done, running, delayed, queued, held)}
    assert list(states.values()) == ["completed", "running", "delayed", "queued", "held"]
    await house.client.zadd(house.keys.due, dict.fromkeys((done, running, queued, held, "j00-none"), 1))
    await house.client.zadd(house.keys.leases, dict.fromkeys((done, delayed, queued, held, "j00-none"), 1))
    await house.client.zadd(house.keys.active, {done: 1, "j00-none": 1})
    assert await house.keeper.promote("00") == []
    assert await house.reap() == {}
    assert set((await house.keeper.reconcile("00", "0"))[1].values()) == {"row"}
    assert {job: (await house.read(job)).state for job in states} == states
    assert await house.client.zrange(house.keys.due, 0, -1) == [delayed.encode()]
    assert await house.client.zrange(house.keys.leases, 0, -1) == [running.encode()]
    assert await house.client.zcard(house.keys.active) == 4
    await house.client.aclose()


async def _lose(house: Installation, name: str) -> None:
    inboxes = await house.client.keys(house.keys.root + "in:*")
    match name:
        case "group":
            for inbox in inboxes:
                await house.client.xgroup_destroy(inbox, GROUP)
        case "consumers":
            for inbox in inboxes:
                for consumer in await house.client.xinfo_consumers(inbox, GROUP):
                    await house.client.xgroup_delconsumer(inbox, GROUP, consumer["name"])
        case "entries":
            for inbox in inboxes:
                await house.client.xtrim(inbox, maxlen=0, approximate=False)
        case _:
            await house.client.delete(house.keys.root + name)


async def test_a_round_repairs_nothing_that_is_whole(redis_url: str) -> None:
    """Nor does it write anything: a round over a healthy partition leaves it identical to the byte."""
    house = Installation(redis_url, KernelOptions(lease_s=30))
    hands = Hands(house)
    running, delayed, queued, held = [await house.submit() for _ in range(4)]
    await hands.take_one()
    await hands.fail(await hands.take_one())
    states = [(await house.read(job)).state for job in (running, delayed, queued, held)]
    assert states == ["running", "delayed", "queued", "held"]
    before = await contents(house.client)
    assert (await house.keeper.reconcile("00", "0"))[1] == {}
    assert await contents(house.client) == before
    await house.client.aclose()
