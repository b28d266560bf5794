"""Jobs that start later than they were submitted, and retries that wait."""

import json
from datetime import datetime

from actors.kernel import State, Submission, read_log
from tests.kernel.cases.hands import Hands
from tests.kernel.stages import Installation, server_ms


async def scheduled(house: Installation, in_ms: int, deadline_s: float = 100.0) -> tuple[str, int]:
    start_at_ms = await server_ms(house.client) + in_ms
    submission = Submission(
        tenant="t", stage="a", spec=b"{}", input=b"{}", start_at_ms=start_at_ms, deadline_s=deadline_s
    )
    submitted = await house.submitter.submit(submission)
    assert submitted.state == (State.DELAYED if in_ms > 0 else State.QUEUED)
    return submitted.job, start_at_ms


async def test_it_waits_for_its_time_and_is_then_queued(house: Installation) -> None:
    job, start_at_ms = await scheduled(house, 60_000)
    assert await house.client.zscore(house.keys.due, job) == start_at_ms
    assert await house.keeper.promote("00") == []
    assert await Hands(house).take() == []
    await house.client.zadd(house.keys.due, {job: 1})
    assert await house.keeper.promote("00") == [job]
    assert [grant.job for grant in await Hands(house).take()] == [job]
    kinds = [entry.type for entry in await read_log(house.client, house.partitions, job)]
    assert kinds == ["job.queued", "job.queued", "job.started"]


async def test_its_life_is_counted_from_its_start(house: Installation) -> None:
    job, start_at_ms = await scheduled(house, 60_000, deadline_s=10)
    assert (await house.read(job)).deadline_ms == start_at_ms + 10_000


async def test_a_time_that_has_passed_is_now(house: Installation) -> None:
    job, _ = await scheduled(house, -1000)
    assert [grant.job for grant in await Hands(house).take()] == [job]


async def test_it_says_until_when_it_waits(house: Installation) -> None:
    job, _ = await scheduled(house, 60_000)
    reason = (await house.read(job)).reason or b""
    assert b'"code":"SCHEDULED"' in reason
    assert b'"until":"' in reason


async def test_it_can_be_cancelled_before_it_starts(house: Installation) -> None:
    job, _ = await scheduled(house, 60_000)
    assert (await house.submitter.cancel(job, "ann")).outcome == "cancelled"
    assert await house.client.zscore(house.keys.due, job) is None


async def test_its_place_among_the_held_is_that_of_its_submission(house: Installation) -> None:
    await house.keeper.set_limit("t", 1)
    job, _ = await scheduled(house, 60_000)
    running, later = await house.submit(), await house.submit()
    hands = Hands(house)
    grant = await hands.take_one()
    assert grant.job == running
    await house.client.zadd(house.keys.due, {job: 1})
    await house.keeper.promote("00")
    assert (await house.read(job)).state == (await house.read(later)).state == State.HELD
    await hands.commit(grant)
    assert (await hands.take_one()).job == job


async def test_a_retry_that_was_delayed_by_a_clock_that_was_ahead_waits_no_longer(house: Installation) -> None:
    """The clock is set back by ten minutes after a failure and after a submission for later."""
    step_ms = 600_000
    retried = await house.submit()
    hands = Hands(house)
    await hands.fail(await hands.take_one())
    delayed_ms = await house.client.zscore(house.keys.due, retried)
    job, start_at_ms = await scheduled(house, 60_000)
    for waiting in (retried, job):
        await house.client.zincrby(house.keys.due, step_ms, waiting)
        await house.client.hincrby(house.keys.job(waiting), "updated_at", step_ms)
    assert (await house.keeper.reconcile("00", "0"))[1] == {retried: "due"}
    due_ms = await house.client.zscore(house.keys.due, retried)
    assert due_ms is not None
    assert delayed_ms is not None
    assert delayed_ms <= due_ms <= delayed_ms + 5000
    told = json.loads((await house.read(retried)).reason or b"{}")
    assert datetime.fromisoformat(told["until"]).timestamp() * 1000 == due_ms
    assert await house.client.zscore(house.keys.due, job) == start_at_ms + step_ms
    assert (await house.keeper.reconcile("00", "0"))[1] == {}
