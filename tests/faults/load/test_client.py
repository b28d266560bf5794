"""Clients of jobs that are refused, left without an answer, lost and undone; and who looks at limits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

import pytest

from actors.kernel import KernelOptions, State, Submission, Worker, new_nonce
from tests.faults.history import (
    HISTORY,
    Happening,
    Journal,
    Missing,
    Refused,
    ReplayAnswered,
    Sample,
    Submitted,
    read_history,
)
from tests.faults.house.house import House
from tests.faults.house.times import TENANT_LIMITS
from tests.faults.load import board
from tests.faults.load import client as client_module
from tests.faults.load.board import Board
from tests.faults.load.client import JobClient
from tests.faults.load.doors import Accepted, NotNow, Unanswered
from tests.faults.load.sampler import Sampler
from tests.faults.plan import JobPlan, Scripted, Works
from tests.kernel.stages import Installation, eventually

Kind = TypeVar("Kind", bound=Happening)
PLAN = JobPlan(number=7, at_s=0.0, tenant="t", work=Scripted(steps=(Works(),)))


class ScriptedDoor:
    """Answers as it is told, and then by submitting for real."""

    def __init__(self, house: Installation, *before: Exception) -> None:
        self._house = house
        self._before = list(before)
        self.replays = 0

    async def submit(self) -> Accepted:
        if self._before:
            raise self._before.pop(0)
        return Accepted(await self._house.submit(), "ok")

    async def cancel(self, job: str) -> str:
        return (await self._house.submitter.cancel(job, "client")).outcome

    async def replay(self, job: str) -> str:
        self.replays += 1
        return (await self._house.submitter.replay(job, from_first=True)).outcome


class Desk:
    """One client, its board, and what they write down."""

    def __init__(self, house: Installation, plan: JobPlan, door: ScriptedDoor, folder: Path) -> None:
        self.house = house
        self.board = Board(house.client, house.partitions)
        self.journal = Journal(folder / HISTORY)
        self.client = JobClient(plan, "key", door, self.board, (), self.journal)
        self._folder = folder

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.board.run()), asyncio.create_task(self.client.run(0.0))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.journal.close()

    def written(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in read_history(self._folder) if isinstance(event, kind)]

    async def until(self, condition: Callable[[], bool]) -> None:
        async def met() -> bool:
            return condition()

        await eventually(met, 5.0, lambda: str(self.client.waits_for()))

    async def until_submitted(self) -> str:
        await self.until(lambda: self.client.job is not None)
        assert self.client.job is not None
        return self.client.job

    async def put(self, job: str, state: State) -> None:
        """As a power failure would, or somebody's work."""
        await self.house.client.hset(self.house.keys.job(job), "state", state)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAUSES_S", (0.01, 0.02))
    monkeypatch.setattr(board, "FULL_ROUND_S", 0.2)


async def test_it_comes_back_until_it_is_accepted(house: Installation, tmp_path: Path) -> None:
    door = ScriptedDoor(house, Unanswered("nothing"), NotNow("full"), NotNow("503"))
    desk = Desk(house, PLAN, door, tmp_path)
    assert "not accepted: not due yet" in str(desk.client.waits_for())
    async with desk.open():
        job = await desk.until_submitted()
    assert [event.status for event in desk.written(Refused)] == ["full", "503"]
    submitted = desk.written(Submitted)
    assert [(event.job, event.key, event.number) for event in submitted] == [(job, "key", 7)]
    refused = desk.written(Refused)
    assert submitted[0].asked_s < refused[0].asked_s, "what was not answered may have been done"


async def test_a_lost_job_is_submitted_again(house: Installation, tmp_path: Path) -> None:
    desk = Desk(house, PLAN, ScriptedDoor(house), tmp_path)
    async with desk.open():
        lost = await desk.until_submitted()
        await desk.until(lambda: desk.board.state(lost) == "queued")
        await house.client.delete(house.keys.job(lost))
        await desk.until(lambda: desk.client.job != lost)
        found = await desk.until_submitted()
        await desk.put(found, State.COMPLETED)
        await desk.until(lambda: desk.board.all_ended_at_s is not None)
        assert desk.client.waits_for() is None
    assert [event.job for event in desk.written(Missing)] == [lost]
    assert [event.job for event in desk.written(Submitted)] == [lost, found]


async def test_an_end_that_is_undone_is_none(house: Installation, tmp_path: Path) -> None:
    desk = Desk(house, PLAN, ScriptedDoor(house), tmp_path)
    async with desk.open():
        job = await desk.until_submitted()
        await desk.put(job, State.COMPLETED)
        await desk.until(lambda: desk.board.all_ended_at_s is not None)
        await desk.put(job, State.QUEUED)
        await desk.until(lambda: desk.board.all_ended_at_s is None)
        assert "is queued" in str(desk.client.waits_for())


async def test_it_is_cancelled_and_replayed_once_each(house: Installation, tmp_path: Path) -> None:
    door = ScriptedDoor(house)
    plan = JobPlan(number=7, at_s=0.0, tenant="t", work=PLAN.work, cancel_after_s=0.0, replayed=True)
    desk = Desk(house, plan, door, tmp_path)
    async with desk.open():
        job = await desk.until_submitted()
        await desk.until(lambda: door.replays == 1 and desk.board.state(job) == "queued")
        await house.submitter.cancel(job, "somebody")
        await desk.until(lambda: desk.client.waits_for() is None)
        assert desk.board.state(job) == "cancelled"
    assert door.replays == 1
    assert [event.status for event in desk.written(ReplayAnswered)] == ["ok"]


@pytest.fixture
async def wide(redis_url: str) -> AsyncIterator[Installation]:
    """An installation in which all that may be under way is queued at once."""
    installation = Installation(redis_url, KernelOptions(window=100))
    yield installation
    await installation.client.aclose()


async def test_limits_are_looked_at_and_one_that_is_lost_is_set_again(wide: Installation, tmp_path: Path) -> None:
    journal = Journal(tmp_path / HISTORY)
    sampler = Sampler(cast(House, _Facade(wide)), journal)
    ((tenant, limit),) = TENANT_LIMITS.items()

    async def slots() -> int:
        return int(await wide.client.scard(wide.keys.slots(tenant)))

    async def sample() -> list[tuple[int, int, int]]:
        await sampler.look(wide.client)
        events = [event for event in read_history(tmp_path) if isinstance(event, Sample)]
        return [(event.limit, event.slots, event.running) for event in events]

    assert await sample() == []
    assert await wide.keeper.limit_of(tenant) == limit
    submission = Submission(tenant=tenant, stage="a", spec=b"{}", input=b"{}")
    jobs = [(await wide.submitter.submit(submission)).job for _ in range(limit + 2)]
    worker = Worker(wide.client, wide.partitions, wide.options, "w")

    async def take() -> int:
        inboxes = [wide.keys.inbox("a", "cpu", "normal")]
        return len((await worker.take("00", inboxes, len(jobs), new_nonce())).grants)

    assert await take() == limit
    assert await sample() == [(limit, limit, limit)]
    # Without a limit all go ahead; until they have come below it again nobody can say that it was broken.
    await wide.keeper.set_limit(tenant, None)
    assert await take() == 2
    assert await slots() == len(jobs)
    assert len(await sample()) == 1
    assert await wide.keeper.limit_of(tenant) == limit
    assert len(await sample()) == 1
    for job in jobs[2:]:
        await wide.client.hset(wide.keys.job(job), "state", State.COMPLETED)
        await wide.client.srem(wide.keys.slots(tenant), job)
    assert (await sample())[1:] == [(limit, 2, 2)]
    # One that is broken is written down as it is.
    await wide.client.sadd(wide.keys.slots(tenant), *jobs)
    assert (await sample())[-1] == (limit, len(jobs), 2)
    journal.close()


class _Facade:
    """What the sampler needs of a house."""

    def __init__(self, installation: Installation) -> None:
        self.url = installation.redis_options.url
        self.partitions = installation.partitions
        self.options = installation.options
