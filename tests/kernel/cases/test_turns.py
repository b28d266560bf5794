"""Cases of limits and fairness: how many jobs of a tenant run, and when another tenant's begin."""

import asyncio
import random

import pytest

from actors.kernel import TERMINAL, Child, Done, Grant, Result, Spawn, State, Submission, Task
from actors.kernel.keys import Priority
from actors.kernel.scripts import text
from tests.kernel.cases.hands import ENDINGS, Hands, commit_of, lose_leases
from tests.kernel.mass import copy_job
from tests.kernel.stages import Installation, Scripted

LIMIT = 2
WORKERS = 4
STEPS = ("submit", "take", "take", "take", "end", "end", "lose", "cancel", "promote", "beat", "family")


def submission(tenant: str = "t", priority: Priority = "normal", key: str | None = None) -> Submission:
    return Submission(
        tenant=tenant, stage="a", spec=b"{}", input=b"{}", priority=priority, idempotency_key=key, digest="d"
    )


class Chaos:
    """Random steps of clients, workers and reapers; the limit is looked at after each."""

    def __init__(self, house: Installation, seed: int) -> None:
        self.house = house
        self.chance = random.Random(seed)
        self.hands = [Hands(house, f"w{number}") for number in range(3)]
        self.grants: list[Grant] = []
        """Every grant ever made, so that zombies act too."""
        self.jobs: list[str] = []

    async def step(self, name: str) -> None:
        hands = self.chance.choice(self.hands)
        match name:
            case "submit":
                priority: Priority = self.chance.choice(["high", "normal", "low"])
                self.jobs.append((await self.house.submitter.submit(submission(priority=priority))).job)
            case "take":
                stage = self.chance.choice(["a", "a", "b", "part"])
                self.grants += await hands.take(self.chance.randint(1, 4), stage=stage)
            case "end" if self.grants:
                ending = ENDINGS[self.chance.choice(sorted(ENDINGS))]
                await ending(hands, self.chance.choice(self.grants[-6:]))
            case "beat" if self.grants:
                await hands.beat(self.chance.choice(self.grants), 20.0)
            case "lose":
                if leases := await self._members(self.house.keys.leases):
                    await lose_leases(self.house, self.chance.choice(leases))
            case "cancel" if self.jobs and self.chance.random() < 0.2:
                await self.house.submitter.cancel(self.chance.choice(self.jobs), "ann")
            case "promote":
                if due := await self._members(self.house.keys.due):
                    await self.house.client.zadd(self.house.keys.due, dict.fromkeys(due, 1))
                await self.house.keeper.promote("00")
            case "family" if self.grants:
                await self._split(hands, self.grants[-1])

    async def _split(self, hands: Hands, parent: Grant) -> None:
        children = tuple(Child(number=number, stage="part", spec=b"{}", input=b"{}") for number in (1, 2, 3))
        if (await hands.worker.spawn("00", Spawn(parent.job, parent.fence, children))).status == "OK":
            await hands.worker.commit("00", [commit_of(parent, "b", split=True)])

    async def _members(self, rows: str) -> list[str]:
        return [text(job) for job in await self.house.client.zrange(rows, 0, -1)]

    async def look(self) -> None:
        assert await self.house.client.zcard(self.house.keys.leases) <= LIMIT
        assert await self.house.client.scard(self.house.keys.slots("t")) <= LIMIT

    async def come_to_rest(self) -> None:
        """Workers that do everything that is left."""
        for _ in range(2000):
            if not await self.house.client.zcard(self.house.keys.active):
                return
            await self.step("promote")
            if leases := await self._members(self.house.keys.leases):
                await lose_leases(self.house, *leases)
            for stage in ("a", "b", "part"):
                for grant in await self.hands[0].take(4, stage=stage):
                    await self.hands[0].commit(grant)
                    await self.look()
        pytest.fail(f"{await self.house.client.zcard(self.house.keys.active)} jobs are stuck")


@pytest.mark.parametrize("seed", range(8))
async def test_case_33_a_limit_holds_through_everything(house: Installation, seed: int) -> None:
    """Limits by counter (solid_queue PR #761, trigger.dev PR #4540): a counter drifted, so that a limit of one ran
    eleven jobs, or slots leaked until a tenant stopped for good.

    Limit two, and lost leases, late ends, cancels, delays, priorities and children at random: never more than two jobs
    hold a lease or a slot, every job ends without anybody's repair, and afterwards no slot is taken.
    """
    await house.keeper.set_limit("t", LIMIT)
    chaos = Chaos(house, seed)
    for _ in range(300):
        await chaos.step(chaos.chance.choice(STEPS))
        await chaos.look()
    await chaos.come_to_rest()
    assert {(await house.read(job)).state for job in chaos.jobs} <= TERMINAL
    for name in (house.keys.slots("t"), house.keys.ready("a", "cpu", "t"), house.keys.held("t")):
        assert not await house.client.exists(name)


async def test_case_33_a_limit_that_is_raised_and_lowered(house: Installation) -> None:
    """A raised limit counts at once; a lowered one lets what runs go on and starts nothing until there is room."""
    await house.keeper.set_limit("t", 1)
    hands = Hands(house)
    for _ in range(8):
        await house.submitter.submit(submission())
    (first,) = await hands.take(8)
    await house.keeper.set_limit("t", 3)
    more = await hands.take(8)
    assert len(more) == 2
    await house.keeper.set_limit("t", 1)
    for grant in (first, *more):
        assert await hands.take(8) == []
        await hands.commit(grant)
    assert len(await hands.take(8)) == 1


async def test_case_33_what_waits_takes_no_slot(house: Installation) -> None:
    """Limit one: a delayed job and a waiting parent leave their slot to others, work that comes back keeps it."""
    await house.keeper.set_limit("t", 1)
    hands = Hands(house)
    delayed, parent, other = [(await house.submitter.submit(submission())).job for _ in range(3)]
    assert (await house.read(other)).state == State.HELD
    await hands.fail(await hands.take_one())
    grant = await hands.take_one()
    assert grant.job == parent
    child = Child(number=1, stage="a", spec=b"{}", input=b"{}", priority="high")
    await hands.worker.spawn("00", Spawn(grant.job, grant.fence, (child,)))
    assert await hands.take(8) == []
    await hands.worker.commit("00", [commit_of(grant, "b", split=True)])
    running = await hands.take_one()
    assert running.job == f"{parent}.1"
    await hands.release(running)
    (again,) = await hands.take(8)
    assert again.job == running.job
    await hands.commit(again)
    assert (await hands.take_one(stage="b")).job == parent
    assert (await house.read(delayed)).state == State.DELAYED
    assert await hands.take(8) == []
    assert (await house.read(other)).state == State.HELD


async def test_case_33_a_job_over_the_limit_is_held_from_the_beginning(house: Installation) -> None:
    """It says why, lies in no inbox, and starts when there is room."""
    await house.keeper.set_limit("t", 1)
    hands = Hands(house)
    await house.submitter.submit(submission())
    grant = await hands.take_one()
    over = (await house.submitter.submit(submission())).job
    seen = await house.read(over)
    assert (seen.state, b"TENANT_LIMIT" in (seen.reason or b"")) == (State.HELD, True)
    assert await house.client.xlen(house.keys.inbox("a", "cpu", "normal")) == 1, "the running one's"
    await hands.commit(grant)
    assert (await house.read(over)).state == State.QUEUED


async def _flood(house: Installation, how: str) -> None:
    """Ten thousand jobs of tenant `flood`, asked for in different ways."""
    match how:
        case "jobs" | "keys":
            keys = 100 if how == "keys" else 1
            originals = [
                (await house.submitter.submit(submission("flood", key=f"k{number}" if how == "keys" else None))).job
                for number in range(max(keys, 50))
            ]
            await copy_job(house.client, house.partitions, originals[-1], 10_000 - len(originals))
        case "priorities":
            for priority in ("high", "normal", "low"):
                await asyncio.gather(*(house.submitter.submit(submission("flood", priority)) for _ in range(10)))
            last = (await house.submitter.submit(submission("flood", "high"))).job
            await copy_job(house.client, house.partitions, last, 10_000 - 31)
        case "batches":
            hands = Hands(house)
            for _ in range(10):
                await house.submitter.submit(
                    Submission(tenant="flood", stage="batch", spec=b"{}", input=b"{}", priority="high")
                )
                parent = await hands.take_one("batch")
                for first in range(1, 1001, 100):
                    children = tuple(
                        Child(number=number, stage="a", spec=b"{}", input=b"{}") for number in range(first, first + 100)
                    )
                    await hands.worker.spawn("00", Spawn(parent.job, parent.fence, children))
                await hands.worker.commit("00", [commit_of(parent, "joined", split=True)])


@pytest.mark.parametrize("running", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("how", ["jobs", "keys", "priorities", "batches"])
async def test_case_34_a_flood_does_not_keep_others_out(house: Installation, how: str, running: bool) -> None:
    """Starvation (postel #126, trigger.dev PR #4353): a limit per key helps against one key that floods, and not
    against a tenant that spreads its work over many.

    Tenant A has ten thousand jobs, however it asked for them; then B submits one. It starts within twice as many starts
    as there are workers.
    """
    workers = [Hands(house, f"w{number}") for number in range(WORKERS)]
    busy: list[Grant] = []
    await _flood(house, how)
    if running:
        for worker in workers * 3:
            busy += await worker.take(1)
    wanted = (await house.submitter.submit(submission("patient"))).job
    started: list[str] = []
    while wanted not in started:
        for worker in workers:
            for grant in await worker.take(1):
                started.append(grant.job)
                await worker.commit(grant)
        assert len(started) <= 2 * WORKERS, "others were served first again and again"
    assert started.index(wanted) < 2 * WORKERS


async def test_case_34_low_priority_is_not_for_ever(house: Installation) -> None:
    """Priorities are drawn by weight, so while high ones keep coming a low one starts after about a dozen of them."""
    low = (await house.submitter.submit(submission(priority="low"))).job
    started: list[str] = []

    async def work(task: Task) -> Result:
        started.append(task.job)
        return Done(b"{}")

    for _ in range(20):
        await house.submitter.submit(submission("other", priority="high"))
    async with house.running(house.actor(Scripted(work), concurrency=1)):
        for _ in range(300):
            if low in started:
                break
            job = (await house.submitter.submit(submission("other", priority="high"))).job
            await house.until(job, State.COMPLETED)
    assert low in started
