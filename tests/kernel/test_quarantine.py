"""Jobs whose data cannot be read: what is kept of them, for how long, and what their family makes of it."""

import pytest

from actors.kernel import Child, End, KernelOptions, Release, Spawn, State
from tests.kernel.cases.hands import REASON, Hands, commit_of
from tests.kernel.stages import Installation

RETENTION_S = 100.0


@pytest.fixture
def kernel_options() -> KernelOptions:
    return KernelOptions(lease_s=10, window=10, retention_s=RETENTION_S)


async def break_key(house: Installation, key: str) -> None:
    await house.client.delete(key)
    await house.client.set(key, "broken")


async def test_what_was_found_is_kept_as_long_as_a_finished_job(house: Installation) -> None:
    await house.submit()
    hands = Hands(house)
    grant = await hands.take_one()
    await house.client.hset(house.keys.job(grant.job), "rev", "many")
    assert await hands.commit(grant) == End.GONE
    root = house.keys.root
    assert await house.client.hget(f"{root}quarantined:{grant.job}", "rev") == b"many"
    assert b"number" in (await house.client.get(f"{root}quarantined:why:{grant.job}") or b"")
    assert await house.client.zscore(f"{root}quarantine", grant.job) is not None
    for key in (f"{root}quarantined:{grant.job}", house.keys.log(grant.job)):
        assert RETENTION_S * 900 < await house.client.pttl(key) <= RETENTION_S * 1000
    for rows in (house.keys.active, house.keys.leases, house.keys.deadlines, house.keys.jobs("t")):
        assert await house.client.zscore(rows, grant.job) is None


async def test_its_place_is_given_to_the_next_one(house: Installation) -> None:
    await house.keeper.set_limit("t", 1)
    await house.submit()
    hands = Hands(house)
    grant = await hands.take_one()
    waiting = await house.submit()
    await break_key(house, house.keys.job(grant.job))
    assert (await house.read(waiting)).state == State.HELD
    await house.keeper.reconcile("00", "0")
    await house.keeper.reconcile("00", "0")
    assert (await hands.take_one()).job == waiting


async def test_a_parent_hears_of_it_as_of_a_failure(house: Installation) -> None:
    await house.submit()
    hands = Hands(house)
    parent = await hands.take_one()
    await hands.worker.spawn(
        "00", Spawn(parent.job, parent.fence, (Child(number=1, stage="c", spec=b"{}", input=b"{}"),))
    )
    await hands.worker.commit("00", [commit_of(parent, "b", split=True)])
    child = await hands.take_one("c")
    await break_key(house, house.keys.job(child.job))
    assert await hands.commit(child) == End.GONE
    assert [row.state for row in await hands.worker.children("00", parent.job, 1, 1)] == ["failed"]
    assert (await house.read(parent.job)).state == State.QUEUED


async def test_the_children_of_a_broken_parent_end(house: Installation) -> None:
    await house.submit()
    hands = Hands(house)
    parent = await hands.take_one()
    children = tuple(Child(number=number, stage="c", spec=b"{}", input=b"{}") for number in (1, 2))
    await hands.worker.spawn("00", Spawn(parent.job, parent.fence, children))
    running = await hands.take_one("c")
    await break_key(house, house.keys.job(parent.job))
    assert await hands.commit(running) == End.CANCELLED
    await house.keeper.reconcile("00", "0")
    assert {(await house.read(f"{parent.job}.{number}")).state for number in (1, 2)} == {State.CANCELLED}


async def test_a_log_that_cannot_be_read_is_put_aside_and_begun_anew(house: Installation) -> None:
    jobs = [await house.submit() for _ in range(2)]
    hands = Hands(house)
    grants = await hands.take()
    await break_key(house, house.keys.log(jobs[0]))
    items = [Release(grant.job, grant.fence, REASON) for grant in grants]
    assert await hands.worker.release("00", items) == [End.OK, End.OK]
    assert await house.client.get(f"{house.keys.root}quarantined:log:{jobs[0]}") == b"broken"
    assert await house.client.llen(house.keys.log(jobs[0])) == 1


@pytest.mark.parametrize("name", ["log", "kids"])
async def test_a_client_can_cancel_a_job_whatever_was_broken(house: Installation, name: str) -> None:
    job = await house.submit()
    await break_key(house, f"{house.keys.root}{name}:{job}")
    assert (await house.submitter.cancel(job, "ann")).outcome == "cancelled"
    assert (await house.read(job)).state == State.CANCELLED
    assert await house.client.zscore(house.keys.active, job) is None
