"""`delete`: a job that ended is gone at once with its children, and its files are the reaper's to sweep."""

import pytest

from actors.kernel import Child, Commit, End, Grant, KernelOptions, Spawn, State, Submission, read_job
from actors.kernel.scripts import Scripts, text
from tests.kernel.cases.hands import Hands
from tests.kernel.stages import Installation


@pytest.fixture
def kernel_options() -> KernelOptions:
    return KernelOptions(lease_s=10, window=200)


async def noted(house: Installation) -> set[str]:
    """Jobs that were deleted; each is also to be swept."""
    deleted = {text(job) for job in await house.client.zrange(house.keys.deleted, 0, -1)}
    assert {text(job) for job in await house.client.smembers(house.keys.sweeps)} == deleted
    return deleted


async def names(house: Installation) -> set[str]:
    """All keys but what concerns the partition or the tenant as a whole."""
    keys = {text(key).removeprefix(house.keys.root) for key in await house.client.keys("*")}
    return {key for key in keys if not key.startswith(("feed", "epoch", "pulse", "in:", "width:", "taken:", "dead:"))}


async def family(house: Installation, count: int, *, listed: bool = True) -> tuple[Hands, Grant]:
    """A parent that waits for its children, which wait for a worker."""
    await house.submit()
    hands = Hands(house)
    parent = await hands.take_one()
    for first in range(1, count + 1, 100):
        numbers = range(first, min(first + 100, count + 1))
        children = tuple(
            Child(number=number, stage="child", spec=b"{}", input=b"{}", listed=listed) for number in numbers
        )
        await hands.worker.spawn("00", Spawn(parent.job, parent.fence, children))
    commit = Commit(parent.job, parent.fence, "split", "b", "cpu", b"{}")
    assert await hands.worker.commit("00", [commit]) == [End.OK]
    return hands, parent


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_nothing_is_left_of_it(house: Installation, end: str) -> None:
    job = await house.submit()
    hands = Hands(house)
    if end == "cancelled":
        await house.submitter.cancel(job, "ann")
    else:
        grant = await hands.take_one()
        await (hands.commit(grant) if end == "completed" else hands.fail(grant, "permanent"))
    assert (await house.submitter.delete(job)).outcome == "ok"
    assert await read_job(house.client, house.partitions, job) is None
    assert await noted(house) == {job}
    assert await names(house) == {"sweeps", "deleted"}
    assert await house.client.xlen(f"{house.keys.root}dead:a") == 0
    assert (await house.submitter.delete(job)).outcome == "gone"
    assert (await house.submitter.replay(job, from_first=False)).outcome == "gone"


async def test_a_job_that_has_not_ended_stays(house: Installation) -> None:
    job = await house.submit()
    deleted = await house.submitter.delete(job)
    assert (deleted.outcome, deleted.state) == ("unfinished", "queued")
    grant = await Hands(house).take_one()
    assert (await house.submitter.delete(job)).state == "running"
    assert await noted(house) == set()
    assert await Hands(house).commit(grant) == End.OK


async def test_its_children_go_with_it(house: Installation) -> None:
    """A hundred and twenty, of which some had not been ended with their parent yet."""
    hands, parent = await family(house, 120)
    (first, *_) = await hands.take(2, stage="child")
    await hands.commit(first)
    other = (await house.submitter.submit(Submission(tenant="t", stage="a", spec=b"{}", input=b"{}"))).job
    await house.submitter.cancel(parent.job, "ann")
    assert (await house.read(f"{parent.job}.120")).state == State.QUEUED
    assert (await house.submitter.delete(parent.job)).outcome == "ok"
    assert await noted(house) == {parent.job, *(f"{parent.job}.{number}" for number in range(1, 121))}
    assert [text(job) for job in await house.client.zrange(house.keys.jobs("t"), 0, -1)] == [other]
    for ledger in ("active", "deadlines"):
        assert [text(job) for job in await house.client.zrange(house.keys.root + ledger, 0, -1)] == [other], ledger
    assert not await house.client.keys(f"*{parent.job}*")
    assert (await house.read(other)).state == State.QUEUED


async def test_between_two_calls_it_is_hidden_and_cannot_begin_again(house: Installation) -> None:
    _, parent = await family(house, 60)
    await house.submitter.cancel(parent.job, "ann")
    scripts = Scripts(house.client, house.options)

    async def call() -> list[bytes | int]:
        reply: list[bytes | int] = await scripts.call("delete", house.keys, [house.keys.job(parent.job)], [parent.job])
        return reply

    assert await call() == [b"OK", 1]
    seen = await house.read(parent.job)
    assert (seen.listed, seen.deleted) == (False, True)
    assert parent.job in await noted(house), "if nobody calls again, the reaper does"
    assert parent.job.encode() not in await house.client.zrange(house.keys.jobs("t"), 0, -1)
    assert (await house.submitter.replay(parent.job, from_first=False)).outcome == "gone"
    assert await call() == [b"OK", 0]
    assert await call() == [b"GONE", b""]


async def test_a_parent_whose_child_was_deleted_begins_again_without_it(house: Installation) -> None:
    hands, parent = await family(house, 2)
    first, second = await hands.take(stage="child")
    await hands.fail(first, "permanent")
    assert (await house.submitter.delete(first.job)).outcome == "ok"
    await house.submitter.cancel(parent.job, "ann")
    assert (await house.submitter.replay(parent.job, from_first=False)).outcome == "ok"
    assert [row.state for row in await hands.worker.children("00", parent.job, 1, 2)] == ["failed", "open"]
    await hands.commit(await hands.take_one("child"))
    seen = await house.read(parent.job)
    assert (seen.state, seen.children_ended[State.FAILED], seen.children_ended[State.COMPLETED]) == ("queued", 1, 1)
    assert await hands.commit(second) == End.FENCED
