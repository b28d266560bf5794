"""Every order in which cancel, reap, a new take and the late words of the first worker can meet one job.

Each verb is one script, so what can happen between several clients is an order of scripts, and all orders are tried.
"""

from itertools import permutations
from typing import Literal

import pytest

from actors.kernel import End, Grant, Pulse, State, read_log
from tests.kernel.cases.hands import ENDINGS, Hands, lose_leases
from tests.kernel.stages import Installation

Step = Literal["end", "beat", "cancel", "reap", "take", "end of the other"]
STEPS: tuple[Step, ...] = ("end", "beat", "cancel", "reap", "take", "end of the other")
TERMINAL_EVENTS = {"job.completed", "job.failed", "job.cancelled", "job.expired"}


def orders(*steps: Step) -> list[tuple[Step, ...]]:
    """All orders of the steps in which the other worker takes before it ends."""
    return [
        order
        for order in permutations(steps)
        if "take" not in order or order.index("take") < order.index("end of the other")
    ]


class Race:
    """One job, its first worker, and another one."""

    def __init__(self, house: Installation, ending: str) -> None:
        self.house = house
        self.ending = ending
        self.first, self.other = Hands(house, "first"), Hands(house, "other")
        self.held: Grant | None = None
        """What the other worker holds."""
        self.cancelled_in: str | None = None
        """What cancel answered."""
        self.ends: list[tuple[str, End]] = []
        """Who asked for an end and what it heard, in order."""
        self.reaped = False

    async def begin(self) -> None:
        await self.house.client.flushdb()
        self.job = await self.house.submit()
        self.grant = await self.first.take_one()

    async def step(self, step: Step) -> None:
        match step:
            case "end":
                self.ends.append(("first", await ENDINGS[self.ending](self.first, self.grant)))
            case "beat":
                await self.first.beat(self.grant, 10.0)
            case "cancel":
                self.cancelled_in = (await self.house.submitter.cancel(self.job, "test")).outcome
            case "reap":
                if await self.house.client.zscore(self.house.keys.leases, self.job) is not None:
                    await self.house.client.zadd(self.house.keys.leases, {self.job: 1})
                    self.reaped = bool(await self.house.reap())
            case "take":
                await self._take()
            case "end of the other":
                if self.held is not None:
                    self.ends.append(("other", await self.other.commit(self.held)))
                    self.held = None

    async def _take(self) -> None:
        for stage in ("a", "b"):
            for grant in await self.other.take(1, stage=stage):
                assert grant.job == self.job
                self.held = grant

    async def settle(self) -> None:
        """Whatever is left to do is done by others, until the job has ended."""
        for _ in range(5):
            if (await self.house.read(self.job)).terminal:
                return
            await self.step("reap")
            if await self.house.client.zscore(self.house.keys.due, self.job) is not None:
                await self.house.client.zadd(self.house.keys.due, {self.job: 1})
                await self.house.keeper.promote("00")
            await self._take()
            await self.step("end of the other")

    async def check(self) -> None:
        house = self.house
        seen = await house.read(self.job)
        log = await read_log(house.client, house.partitions, self.job)
        assert [entry.rev for entry in log] == list(range(1, len(log) + 1))
        assert [index for index, entry in enumerate(log) if entry.type in TERMINAL_EVENTS] == [len(log) - 1]
        if self.cancelled_in in ("cancelled", "flagged"):
            assert seen.state == State.CANCELLED, "after a 2xx from cancel a job never completes"
            assert len([end for end in self.ends if end[1] == End.LATE]) <= 1
        if seen.state == State.COMPLETED:
            assert [end for end in self.ends if end[1] in (End.OK, End.LATE)]
        for rows in (house.keys.leases, house.keys.due, house.keys.active):
            assert await house.client.zscore(rows, self.job) is None
        for inbox in await house.client.keys(f"{house.keys.root}in:*"):
            assert await house.client.xlen(inbox) == 0
            assert [group["pending"] for group in await house.client.xinfo_groups(inbox)] in ([], [0])


async def _race(house: Installation, ending: str, every: list[tuple[Step, ...]]) -> None:
    for order in every:
        race = Race(house, ending)
        await race.begin()
        try:
            for step in order:
                await race.step(step)
            await race.settle()
            await race.check()
        except AssertionError as error:
            error.add_note(f"{ending}: {', '.join(order)}")
            raise


@pytest.mark.parametrize("ending", sorted(ENDINGS))
async def test_an_end_races_cancel_reap_and_another_worker(house: Installation, ending: str) -> None:
    """One terminal event, a cancel that was acknowledged wins, and nothing is left behind, in all 360 orders."""
    await _race(house, ending, orders(*STEPS))


@pytest.mark.parametrize(
    ("order", "ending", "heard"),
    [
        (("reap", "end"), "commit done", End.LATE),
        (("reap", "end"), "commit next", End.LATE),
        (("reap", "end"), "fail transient", End.LATE),
        (("reap", "end"), "release", End.ALREADY),
        (("reap", "beat", "end"), "commit done", End.OK),
        (("reap", "take", "end"), "commit done", End.FENCED),
        (("reap", "take", "beat", "end"), "commit done", End.FENCED),
        (("reap", "end", "take"), "commit done", End.LATE),
        (("cancel", "end"), "commit done", End.CANCELLED),
        (("cancel", "end"), "fail transient", End.CANCELLED),
        (("cancel", "end"), "release", End.CANCELLED),
        (("cancel", "reap", "end"), "commit done", End.CANCELLED),
        (("reap", "cancel", "end"), "commit done", End.CANCELLED),
        (("reap", "cancel", "beat", "end"), "commit done", End.CANCELLED),
        (("reap", "beat", "cancel", "end"), "commit done", End.CANCELLED),
        (("reap", "end", "end"), "commit done", End.ALREADY),
        (("end", "cancel", "end"), "commit done", End.ALREADY),
        (("end", "reap", "end"), "fail transient", End.ALREADY),
        (("end", "take", "end"), "release", End.ALREADY),
    ],
)
async def test_what_a_late_worker_hears(house: Installation, order: tuple[Step, ...], ending: str, heard: End) -> None:
    """The answers that follow from the order alone; `first` asks last."""
    race = Race(house, ending)
    await race.begin()
    for step in order:
        await race.step(step)
    assert [end for who, end in race.ends if who == "first"][-1] == heard


@pytest.mark.parametrize("beats", [1, 2, 3])
async def test_a_crash_is_given_back_once(house: Installation, beats: int) -> None:
    """A worker that was cut off and then beats again proves that it lives; it does not do so twice."""
    hands, other = Hands(house), Hands(house, "other")
    job = await house.submit()
    grants = []
    for _ in range(2):
        grants.append(await hands.take_one())
        await house.client.zadd(house.keys.leases, {job: 1})
        await house.reap()
    await other.take_one()
    for _ in range(beats):
        await hands.beat(grants[1])
        await hands.beat(grants[0])
    assert (await house.read(job)).crashes == 1


async def test_only_the_fence_that_was_reaped_last_is_late(house: Installation) -> None:
    """Two workers were given up one after the other: the second may still end the job, the first may not."""
    first, second = Hands(house, "first"), Hands(house, "second")
    job = await house.submit()
    grants = []
    for hands in (first, second):
        grants.append(await hands.take_one())
        assert await lose_leases(house, job) == {job: "requeued"}
    assert await first.commit(grants[0]) == End.FENCED
    assert await second.commit(grants[1]) == End.LATE


@pytest.mark.parametrize("word", ["beat", *sorted(ENDINGS)])
async def test_a_job_that_spent_its_crashes_accepts_no_late_word(house: Installation, word: str) -> None:
    """Its last reap was its end: nothing that its last worker says brings it back, or ends it otherwise."""
    hands = Hands(house)
    job = await house.submit()
    grant = await hands.take_one()
    await house.client.hset(house.keys.job(job), mapping={"crashes": house.options.crash_budget - 1, "extra": 1})
    assert await lose_leases(house, job) == {job: "failed"}
    after = await house.read(job)
    if word == "beat":
        assert await hands.beat(grant, 50.0) == Pulse.FENCED
    else:
        assert await ENDINGS[word](hands, grant) in (End.FENCED, End.ALREADY)
    assert await house.read(job) == after
