"""Cases of budgets, identity, scheduling and cancellation."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from actors.kernel import Done, Fail, KernelOptions, Permanent, Result, State, Submission, Task, end_tasks, read_log
from actors.kernel.scripts import text
from tests.kernel.cases.hands import ENDINGS, Hands, commit_of, lose_leases
from tests.kernel.stages import Installation, Scripted, eventually


def _keyed() -> Submission:
    return Submission(tenant="t", stage="a", spec=b"{}", input=b"{}", idempotency_key="k", digest="d")


async def _complete(house: Installation, job: str) -> None:
    hands = Hands(house)
    await hands.commit(await hands.take_one())


async def _fail(house: Installation, job: str) -> None:
    hands = Hands(house)
    await hands.fail(await hands.take_one(), "permanent")


async def _cancel(house: Installation, job: str) -> None:
    await house.submitter.cancel(job, "ann")


async def _expire(house: Installation, job: str) -> None:
    await house.client.zadd(house.keys.deadlines, {job: 1})
    await house.keeper.expire("00")


async def _forget(house: Installation, job: str) -> None:
    await _complete(house, job)
    await house.client.zadd(house.keys.deadlines, {job: 1})
    assert await house.keeper.retention("00", [job]) == [job]


@pytest.mark.parametrize(
    ("end", "state"),
    [(_complete, "completed"), (_fail, "failed"), (_cancel, "cancelled"), (_expire, "expired"), (_forget, "gone")],
)
async def test_case_31_an_idempotency_key_has_one_rule_in_every_state(
    house: Installation, end: object, state: str
) -> None:
    """Dedup key outlives the job (asynq #492, peekaping #266, bullmq #2870): a key whose job had ended badly locked its
    owner out, for as long as nobody looked.

    Here a key names its first job for its whole life of `idempotency_s`, however that job ended and even when it is
    forgotten; afterwards it is free. Another request under the key is a conflict throughout.
    """
    first = await house.submitter.submit(_keyed())
    await end(house, first.job)  # type: ignore[operator]
    again = await house.submitter.submit(_keyed())
    assert (again.outcome, again.job, again.state) == ("exists", first.job, state)
    other = await house.submitter.submit(msgspec.structs.replace(_keyed(), digest="e"))
    assert (other.outcome, other.job) == ("conflict", first.job)
    await house.client.pexpire(house.keys.idempotency("t", "k"), 1)

    async def is_free() -> bool:
        return not await house.client.exists(house.keys.idempotency("t", "k"))

    await eventually(is_free)
    fresh = await house.submitter.submit(_keyed())
    assert (fresh.outcome, fresh.job != first.job) == ("ok", True)


async def test_case_31_the_life_of_a_key_is_the_one_of_the_options(redis_url: str) -> None:
    """The key goes by itself, since the server knows its end."""
    house = Installation(redis_url, KernelOptions(idempotency_s=100))
    await house.submitter.submit(_keyed())
    left_ms = await house.client.pttl(house.keys.idempotency("t", "k"))
    assert 90_000 < left_ms <= 100_000
    await house.client.aclose()


async def test_case_30_a_lost_lease_is_not_an_error(house: Installation) -> None:
    """Crash charged as error (asynq #1015): a lost worker burned a retry of the job's errors.

    Two crashes and two errors of three each leave the job alive; the third of either kind would be its end.
    """
    hands = Hands(house)
    job = await house.submit()
    for _ in range(2):
        await hands.take_one()
        assert await lose_leases(house, job) == {job: "requeued"}
        await hands.fail(await hands.take_one())
        await house.client.zadd(house.keys.due, {job: 1})
        await house.keeper.promote("00")
    seen = await house.read(job)
    assert (seen.state, seen.crashes, seen.attempt) == (State.QUEUED, 2, 2)
    await hands.take_one()
    assert await lose_leases(house, job) == {job: "failed"}


@pytest.mark.parametrize("name", ["fail throttled", "release"])
async def test_case_30_waiting_spends_no_budget(house: Installation, name: str) -> None:
    """What is not the job's fault costs it nothing, however often it happens."""
    hands = Hands(house)
    job = await house.submit()
    for _ in range(12):
        await ENDINGS[name](hands, await hands.take_one())
        await house.client.zadd(house.keys.due, {job: 1}, xx=True)
        await house.keeper.promote("00")
    seen = await house.read(job)
    assert (seen.state, seen.crashes, seen.attempt) == (State.QUEUED, 0, 0)


async def test_case_35_delays_outlive_every_worker(house: Installation) -> None:
    """Delay held in a worker (kombu #337): delayed jobs lay in the memory of workers and came twice or not at all.

    Two hundred jobs wait for half a second; meanwhile all workers stop and others start. Each runs once, none early.
    """
    hands = Hands(house)
    jobs = [await house.submit() for _ in range(200)]
    while grants := await hands.take():
        fails = [Fail(grant.job, grant.fence, "transient", 500, 9, b"{}", b'{"code":"X"}') for grant in grants]
        await hands.worker.fail("00", fails)
    started: list[str] = []

    async def work(task: Task) -> Result:
        started.append(task.job)
        return Done(b"{}")

    async def go_on_promoting() -> None:
        while True:
            await house.keeper.promote("00")
            await asyncio.sleep(0.01)

    promoting = asyncio.create_task(go_on_promoting())
    for _ in range(4):
        async with house.running(house.actor(Scripted(work)), house.actor(Scripted(work))):
            await asyncio.sleep(0.1)
    async with house.running(house.actor(Scripted(work))):
        for job in jobs:
            seen = await house.until(job, State.COMPLETED)
            assert (seen.takes, seen.attempt) == (2, 1)
            at = {entry.type: entry.at for entry in await read_log(house.client, house.partitions, job)}
            assert at["job.started"] - at["job.retrying"] >= 500
    await end_tasks([promoting])
    assert sorted(started) == sorted(jobs)


async def test_case_36_a_handler_that_ignores_its_cancel_keeps_no_place_from_the_truth(house: Installation) -> None:
    """Cancel grace equals poll interval (VapourBox PR #63): work went on for minutes after it was "cancelled".

    The handler is told at the next beat and ended; the job is cancelled, what the handler still says changes nothing.
    (That whole process groups end is shown where they are started.)
    """
    told = asyncio.Event()

    async def stubborn(task: Task) -> Result:
        await task.cancelled.wait()
        told.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Permanent("STILL_HERE") from None
        return Done(b"{}")

    async with house.running(house.actor(Scripted(stubborn))):
        job = await house.submit()
        await house.until(job, State.RUNNING)
        assert (await house.submitter.cancel(job, "ann")).outcome == "flagged"
        await asyncio.wait_for(told.wait(), 4 * house.options.beat_s)
        seen = await house.until(job, State.CANCELLED)
    assert seen.attempt == 0
    log = await read_log(house.client, house.partitions, job)
    assert json.loads(bytes(log[-1].data)) == {"by": "ann"}


async def test_case_32_every_event_of_a_short_job_is_in_the_feed_and_in_its_log(house: Installation) -> None:
    """Events missed (bullmq PR #383, #2874 and #2517): a job that ended at once was over before anybody listened.

    A thousand jobs that end within a millisecond: each event lies in the partition's feed and in the job's log, under
    the same id, without a gap, and the hash names the last one. Who watches reads the one and then the other.
    """
    hands = Hands(house)
    jobs: list[str] = []
    for _ in range(20):
        jobs += await asyncio.gather(*(house.submit() for _ in range(50)))
        grants = await hands.take()
        await hands.worker.commit("00", [commit_of(grant) for grant in grants])
    while grants := await hands.take():
        await hands.worker.commit("00", [commit_of(grant) for grant in grants])
    feed: dict[str, list[str]] = {job: [] for job in jobs}
    entries: Any = await house.client.xrange(house.keys.feed)
    for entry, fields in entries:
        ((_, event),) = fields.items()
        feed[json.loads(event)["job"]].append(text(entry))
    for job in jobs:
        log = await read_log(house.client, house.partitions, job)
        assert [entry.rev for entry in log] == list(range(1, len(log) + 1))
        assert [entry.id for entry in log] == feed[job]
        assert (log[-1].type, log[-1].id) == ("job.completed", (await house.read(job)).last_event)


async def test_a_lost_job_past_its_deadline_is_not_queued_again(house: Installation) -> None:
    """The reaper may meet it before `expire` does: it ends there and then, and is charged no crash."""
    job = await house.submit()
    await Hands(house).take_one()
    await house.client.hset(house.keys.job(job), "deadline", 1)
    assert await lose_leases(house, job) == {job: "expired"}
    seen = await house.read(job)
    assert (seen.state, seen.crashes) == (State.EXPIRED, 0)
