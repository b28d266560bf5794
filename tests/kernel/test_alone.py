"""Jobs that have cost two workers: they run in a worker that holds nothing else."""

import pytest

from actors.kernel import Grant, State, Taken, Worker, new_nonce
from tests.kernel.cases.hands import INBOXES, Hands, lose_leases
from tests.kernel.stages import Installation


async def suspect(house: Installation) -> str:
    """A job whose lease was lost twice."""
    job, hands = await house.submit(), Hands(house, "victim")
    for _ in range(2):
        await hands.take_one()
        assert await lose_leases(house, job) == {job: "requeued"}
    return job


async def ask(house: Installation, name: str, want: int = 5, *, holding: int = 0) -> Taken:
    worker = Worker(house.client, house.partitions, house.options, name)
    inboxes = [house.keys.inbox("a", "cpu", inbox) for inbox in INBOXES]
    return await worker.take("00", inboxes, want, new_nonce(), holding=holding)


def names(grants: list[Grant]) -> list[str]:
    return [grant.job for grant in grants]


async def test_an_idle_worker_gets_it_and_nothing_beside_it(house: Installation) -> None:
    job = await suspect(house)
    other = await house.submit()
    taken = await ask(house, "w")
    assert names(taken.grants) == [job]
    assert taken.grants[0].crashes == 2
    assert names((await ask(house, "v")).grants) == [other]


async def test_a_busy_worker_is_asked_to_make_room_and_no_second_one(house: Installation) -> None:
    job = await suspect(house)
    assert (await ask(house, "w", holding=1)).clear
    assert not (await ask(house, "v", holding=1)).clear
    assert (await ask(house, "w", holding=1)).clear, "until it holds nothing"
    assert names((await ask(house, "w")).grants) == [job]


async def test_a_worker_that_just_got_returned_work_does_not_get_it(house: Installation) -> None:
    job = await suspect(house)
    returned = await house.submit()
    (grant,) = (await ask(house, "w", holding=1)).grants
    await Hands(house, "w").release(grant)
    taken = await ask(house, "w")
    assert names(taken.grants) == [returned]
    assert taken.clear
    assert (await house.read(job)).state == State.QUEUED


async def test_a_busy_worker_does_not_listen_to_it(house: Installation) -> None:
    await suspect(house)
    alone = house.keys.inbox("a", "cpu", "alone")
    assert alone not in (await ask(house, "w", holding=1)).bells


async def test_nobody_makes_room_for_a_job_that_was_cancelled(house: Installation) -> None:
    job = await suspect(house)
    assert (await ask(house, "w", holding=1)).clear
    await house.submitter.cancel(job, "ann")
    assert not (await ask(house, "w", holding=1)).clear


async def test_it_may_share_a_worker_again_in_its_next_stage(house: Installation) -> None:
    job = await suspect(house)
    (grant,) = (await ask(house, "w")).grants
    await Hands(house, "w").commit(grant, "b")
    assert (await house.read(job)).crashes == 0
    assert [grant.job for grant in await Hands(house, "w").take(stage="b")] == [job]


@pytest.mark.parametrize("end", ["release", "fail"])
async def test_what_comes_back_from_alone_goes_there_again(house: Installation, end: str) -> None:
    job = await suspect(house)
    hands = Hands(house, "w")
    (grant,) = (await ask(house, "w")).grants
    await (hands.release(grant) if end == "release" else hands.fail(grant))
    if end == "fail":
        await house.client.zadd(house.keys.due, {job: 1})
        await house.keeper.promote("00")
    assert (await ask(house, "w", holding=1)).grants == []
    assert names((await ask(house, "w")).grants) == [job]
