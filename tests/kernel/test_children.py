"""What parents and children share: percent, rows, deadlines; and what becomes of rows and children that are lost."""

import pytest

from actors.kernel import Child, Commit, End, Grant, KernelOptions, Spawn, State, Submission
from actors.kernel.items import OnChildFailure
from actors.kernel.scripts import Scripts
from tests.kernel.cases.hands import Hands
from tests.kernel.stages import Installation


@pytest.fixture
def kernel_options() -> KernelOptions:
    return KernelOptions(lease_s=10, window=200)


async def spawn(
    hands: Hands, parent: Grant, *numbers: int, on_child_failure: OnChildFailure = "go_on"
) -> tuple[str, ...]:
    children = tuple(Child(number=number, stage="child", spec=b"{}", input=b"{}") for number in numbers)
    spawned = await hands.worker.spawn("00", Spawn(parent.job, parent.fence, children, on_child_failure))
    return (spawned.status, *spawned.outcomes)


async def split(hands: Hands, parent: Grant, percent: float = 10, reach: float = 90) -> None:
    commit = Commit(parent.job, parent.fence, "split", "b", "cpu", b"{}", percent=percent, reach=reach)
    assert await hands.worker.commit("00", [commit]) == [End.OK]


async def family(house: Installation, count: int) -> tuple[Hands, Grant]:
    """A parent that waits for its children, which wait for a worker."""
    await house.submit()
    hands = Hands(house)
    parent = await hands.take_one()
    for first in range(1, count + 1, 100):
        await spawn(hands, parent, *range(first, min(first + 100, count + 1)))
    await split(hands, parent)
    return hands, parent


async def test_percent_goes_from_where_it_split_to_its_reach(house: Installation) -> None:
    hands, parent = await family(house, 2)
    first, second = await hands.take(stage="child")
    await hands.beat(first, 50)
    assert (await house.read(parent.job)).percent == pytest.approx(30)
    commit = Commit(first.job, first.fence, "next", "more", "cpu", b"{}", percent=75)
    assert await hands.worker.commit("00", [commit]) == [End.OK]
    assert (await house.read(parent.job)).percent == pytest.approx(40)
    await hands.commit(await hands.take_one("more"))
    assert (await house.read(parent.job)).percent == pytest.approx(50)
    await hands.fail(second, "permanent")
    seen = await house.read(parent.job)
    assert seen.state == State.QUEUED
    assert seen.percent == pytest.approx(90)


async def test_a_parent_counts_how_its_children_ended(house: Installation) -> None:
    hands, parent = await family(house, 4)
    first, second, third, _ = await hands.take(stage="child")
    await hands.commit(first)
    await hands.fail(second, "permanent")
    assert await counts(house, parent.job) == {"completed": 1, "failed": 1, "cancelled": 0, "expired": 0}
    assert b"2 of its parts are" in ((await house.read(parent.job)).reason or b"")
    await hands.commit(third)
    assert b"1 of its parts is" in ((await house.read(parent.job)).reason or b"")
    assert (await house.submitter.replay(second.job, from_first=False)).outcome == "ok"
    assert b"2 of its parts are" in ((await house.read(parent.job)).reason or b"")
    assert await counts(house, parent.job) == {"completed": 2, "failed": 0, "cancelled": 0, "expired": 0}
    again = await hands.take_one("child")
    await hands.fail(again, "permanent")
    await house.submitter.cancel(parent.job, "ann")
    assert await counts(house, parent.job) == {"completed": 2, "failed": 1, "cancelled": 0, "expired": 0}
    assert (await house.submitter.replay(parent.job, from_first=False)).outcome == "ok"
    assert b"2 of its parts are" in ((await house.read(parent.job)).reason or b"")
    assert await counts(house, parent.job) == {"completed": 2, "failed": 0, "cancelled": 0, "expired": 0}


async def counts(house: Installation, job: str) -> dict[State, int]:
    return (await house.read(job)).children_ended


async def test_children_have_the_deadline_and_the_priority_of_their_parent(house: Installation) -> None:
    submission = Submission(tenant="t", stage="a", spec=b"{}", input=b"{}", priority="high", deadline_s=50)
    await house.submitter.submit(submission)
    hands = Hands(house)
    parent = await hands.take_one()
    await spawn(hands, parent, 1)
    child = await hands.take_one("child")
    assert (child.parent, child.deadline_ms, child.priority) == (parent.job, parent.deadline_ms, "high")


async def test_there_are_at_most_ten_thousand(house: Installation) -> None:
    await house.submit()
    hands = Hands(house)
    assert await spawn(hands, await hands.take_one(), 10_000, 10_001) == ("OK", "OK", "MANY")


async def test_a_waiting_parent_holds_no_slot(house: Installation) -> None:
    await house.keeper.set_limit("t", 1)
    hands, parent = await family(house, 1)
    assert (await hands.take_one("child")).parent == parent.job


async def test_a_child_that_begins_again_between_two_calls_of_its_parents_replay(house: Installation) -> None:
    """More than fifty begin again in several calls. One that is replayed by itself meanwhile is counted once."""
    hands, parent = await family(house, 60)
    await house.submitter.cancel(parent.job, "ann")
    for _ in range(2):
        await house.keeper.reconcile("00", "0")
    assert (await call_replay(house, parent.job))[1:] == [b"waiting", 10]
    assert (await house.submitter.replay(f"{parent.job}.60", from_first=False)).outcome == "ok"
    assert (await call_replay(house, parent.job))[1:] == [b"waiting", 0]
    for _ in range(2):
        for child in await hands.take(stage="child"):
            await hands.commit(child)
    assert (await house.read(parent.job)).state == State.QUEUED


async def call_replay(house: Installation, job: str) -> list[bytes | int]:
    """One call, where the submitter goes on until nothing is left."""
    scripts = Scripts(house.client, house.options)
    reply: list[bytes | int] = await scripts.call(
        "replay", house.keys, [house.keys.job(job)], [job, 100_000, "here", ""]
    )
    return reply


async def test_a_child_whose_row_was_lost_is_not_made_again(house: Installation) -> None:
    await house.submit()
    hands = Hands(house)
    parent = await hands.take_one()
    await spawn(hands, parent, 1, 2)
    running = await hands.take_one("child")
    await house.client.delete(house.keys.kids(parent.job))
    assert await spawn(hands, parent, 1, 2) == ("OK", "EXISTS", "EXISTS")
    assert (await house.read(running.job)).state == State.RUNNING
    await split(hands, parent)
    for child in [running, await hands.take_one("child")]:
        assert await hands.commit(child) == End.OK
    assert (await house.read(parent.job)).state == State.QUEUED


async def test_a_child_that_vanished_counts_as_failed(house: Installation) -> None:
    hands, parent = await family(house, 2)
    child, vanished = await hands.take(stage="child")
    await hands.commit(child)
    await house.client.delete(house.keys.job(vanished.job))
    await house.keeper.reconcile("00", "0")
    assert [row.state for row in await hands.worker.children("00", parent.job, 1, 10)] == ["completed", "failed"]
    assert (await house.read(parent.job)).state == State.QUEUED


async def test_needed_children_begin_again_with_a_parent_that_failed_while_it_ran(house: Installation) -> None:
    await house.submit()
    hands = Hands(house)
    parent = await hands.take_one()
    await spawn(hands, parent, 1, 2, on_child_failure="fail")
    child, other = await hands.take(stage="child")
    await hands.fail(child, "permanent")
    assert await hands.commit(parent, "b") == End.CANCELLED
    assert (await house.read(parent.job)).state == State.FAILED
    assert (await house.read(other.job)).state == State.CANCELLED
    assert (await house.submitter.replay(parent.job, from_first=False)).outcome == "ok"
    parent = await hands.take_one()
    await spawn(hands, parent, 1, 2, on_child_failure="fail")
    assert {grant.job for grant in await hands.take(stage="child")} == {child.job, other.job}
