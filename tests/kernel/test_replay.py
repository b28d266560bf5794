"""Replaying and purging dead letters: what a job has when it begins again, and pages that repeat nothing."""

from collections.abc import AsyncIterator

import pytest

from actors.kernel import (
    Child,
    Commit,
    End,
    KernelOptions,
    Spawn,
    State,
    StoreFull,
    Submission,
    Worker,
    new_nonce,
    read_log,
)
from actors.kernel.dead import DeadLetters
from actors.kernel.dead_letter import DeadFilter, DeadLetter
from actors.kernel.replay import Replayer
from tests.conftest import RedisServer
from tests.kernel.cases.hands import Hands, lose_leases
from tests.kernel.stages import Installation


@pytest.fixture
async def full_house(own_redis_server: RedisServer, kernel_options: KernelOptions) -> AsyncIterator[Installation]:
    """An installation whose server this test may fill."""
    installation = Installation(own_redis_server.url, kernel_options)
    yield installation
    await installation.client.aclose()


def replayer(house: Installation, *, is_there: bool = True) -> Replayer:
    async def exist(_refs: tuple[str, ...]) -> bool:
        return is_there

    return Replayer(house.client, house.partitions, house.submitter, house.keeper, exist)


async def letter_of(house: Installation, job: str) -> DeadLetter:
    letter = await DeadLetters(house.client, house.partitions).find(job)
    assert letter is not None
    return letter


async def crash(house: Installation, times: int) -> None:
    """So many workers in a row take the job and are lost."""
    for number in range(times):
        grant = await Hands(house, f"node-{number}-4711-abc").take_one()
        await lose_leases(house, grant.job)


async def die(house: Installation, tenant: str = "t") -> str:
    job = (await house.submitter.submit(Submission(tenant=tenant, stage="a", spec=b"{}", input=b"{}"))).job
    hands = Hands(house)
    await hands.fail(await hands.take_one(), "permanent")
    return job


async def replays_of(house: Installation, job: str) -> int:
    log = await read_log(house.client, house.partitions, job)
    return [entry.type for entry in log].count("job.replayed")


async def test_case_29_a_poison_job_is_dead_with_its_reason_and_its_last_worker(house: Installation) -> None:
    """sidekiq #4633: what kills its worker each time must end, and somebody must be able to see why."""
    job = await house.submit()
    await crash(house, 3)
    letter = await letter_of(house, job)
    assert (letter.why, letter.code, letter.attempt, letter.crashes) == ("crash_loop", "CRASH_LOOP", 0, 3)
    assert letter.worker == "node-2-4711-abc"


async def test_case_29_poison_runs_again_where_it_harms_nobody(house: Installation) -> None:
    """sidekiq #4594 asks for it: a replayed crash loop goes to a worker that was named for it, and to no other."""
    job = await house.submit()
    await crash(house, 3)
    assert (await replayer(house).replay(job, worker="lab")).outcome == "replayed"
    assert await Hands(house).take() == []
    worker = Worker(house.client, house.partitions, house.options, "lab-1-abc")
    taken = await worker.take("00", [house.keys.inbox("a", "cpu", "@lab")], 5, new_nonce())
    assert [grant.job for grant in taken.grants] == [job]


async def test_case_30_a_replayed_job_has_both_budgets_in_full(house: Installation) -> None:
    """bullmq #3555: a replay that kept the count of crashes failed at the first one again."""
    job = await house.submit()
    for _ in range(2):
        await crash(house, 3)
        assert (await letter_of(house, job)).crashes == 3
        assert (await replayer(house).replay(job)).outcome == "replayed"
        view = await house.read(job)
        assert (view.attempt, view.crashes, view.error) == (0, 0, None)
    await crash(house, 2)
    hands = Hands(house)
    grant = await hands.take_one()
    assert (grant.attempt, grant.crashes) == (0, 2), "the third crash would be the last again"
    assert await hands.commit(grant) == End.OK
    assert (await house.read(job)).state == State.COMPLETED


async def test_case_30_a_replayed_job_has_a_new_deadline(house: Installation) -> None:
    job = await die(house)
    before = await house.read(job)
    await replayer(house).replay(job, life_s=5000.0)
    after = await house.read(job)
    assert after.deadline_ms - after.updated_at_ms == 5_000_000
    assert after.deadline_ms < before.deadline_ms


@pytest.mark.parametrize(("is_there", "start", "stage"), [(True, "here", "b"), (False, "first", "a")])
async def test_the_storage_decides_where_a_job_begins(
    house: Installation, is_there: bool, start: str, stage: str
) -> None:
    job = await house.submit()
    hands = Hands(house)
    await hands.commit(await hands.take_one(), "b")
    await hands.fail(await hands.take_one("b"), "permanent")
    replay = await replayer(house, is_there=is_there).replay(job)
    assert (replay.outcome, replay.state, replay.start) == ("replayed", "queued", start)
    assert (await hands.take_one(stage)).job == job


async def test_a_replay_that_is_asked_for_again(house: Installation) -> None:
    job = await die(house)
    assert (await replayer(house).replay(job)).outcome == "replayed"
    assert (await replayer(house).replay(job)).outcome == "replayed", "the reply of the first was lost"
    assert await replays_of(house, job) == 1
    hands = Hands(house)
    await hands.commit(await hands.take_one(), "b")
    assert (await replayer(house).replay(job)).outcome == "already"
    await hands.commit(await hands.take_one("b"))
    assert (await replayer(house).replay(job)).outcome == "illegal", "it has completed"
    assert await replays_of(house, job) == 1


async def test_a_job_that_is_gone(house: Installation) -> None:
    assert (await replayer(house).replay(house.partitions.new_id("t"))).outcome == "gone"


async def test_a_failed_child_and_its_parent(house: Installation) -> None:
    """The parent's letter says that a child failed; the child begins again with it, not by itself."""
    parent = await house.submit()
    hands = Hands(house)
    grant = await hands.take_one()
    child = Child(number=1, stage="b", spec=b"{}", input=b"{}")
    assert (await hands.worker.spawn("00", Spawn(parent, grant.fence, (child,), "fail"))).status == "OK"
    await hands.fail(await hands.take_one("b"), "permanent")
    await hands.commit(grant, "c")
    letters = {
        letter.job: letter for letter in (await DeadLetters(house.client, house.partitions).page(DeadFilter()))[0]
    }
    assert (letters[parent].why, letters[parent].code) == ("child", "CHILD_FAILED")
    assert letters[f"{parent}.1"].parent == parent
    alone = await replayer(house).replay(f"{parent}.1")
    assert (alone.outcome, alone.state) == ("parent", "failed")


async def waiting_parent(house: Installation, hands: Hands) -> str:
    """A job that waits for two children, which wait for a worker."""
    parent = await house.submit()
    grant = await hands.take_one()
    children = tuple(Child(number=number, stage="b", spec=b"{}", input=b"{}") for number in (1, 2))
    await hands.worker.spawn("00", Spawn(parent, grant.fence, children))
    await hands.worker.commit("00", [Commit(parent, grant.fence, "split", "c", "cpu", b"{}")])
    return parent


async def test_a_child_begins_where_it_ended_while_its_parent_waits(house: Installation) -> None:
    hands = Hands(house)
    parent = await waiting_parent(house, hands)
    first, _ = await hands.take(2, stage="b")
    await hands.fail(first, "permanent")
    replay = await replayer(house, is_there=False).replay(first.job)
    assert (replay.outcome, replay.start) == ("replayed", "here")
    assert (await hands.take_one("b")).job == first.job
    assert (await house.read(parent)).state == State.WAITING


async def test_a_child_goes_to_the_worker_that_was_named(house: Installation) -> None:
    hands = Hands(house)
    await waiting_parent(house, hands)
    first, _ = await hands.take(2, stage="b")
    await hands.fail(first, "permanent")
    await replayer(house).replay(first.job, worker="lab")
    assert await hands.take(stage="b") == []


async def test_a_full_server_refuses_and_changes_nothing(full_house: Installation) -> None:
    job = await die(full_house)
    await full_house.client.config_set("maxmemory", 1)
    with pytest.raises(StoreFull):
        await replayer(full_house).replay(job)
    await full_house.client.config_set("maxmemory", 0)
    assert (await letter_of(full_house, job)).why == "permanent"
    assert await replays_of(full_house, job) == 0


async def test_pages_meet_no_job_twice_that_dies_again(house: Installation) -> None:
    jobs = [await die(house) for _ in range(7)]
    hands, again = Hands(house), replayer(house)
    met: list[str] = []
    cursor: str | None = None
    for _ in range(10):
        page = await again.replay_page(DeadFilter(), before=cursor, limit=2)
        met += [replay.job for replay in page.replays]
        for grant in await hands.take():
            await hands.fail(grant, "permanent")
        cursor = page.next
        if cursor is None:
            break
    assert sorted(met) == sorted(jobs)
    assert [await replays_of(house, job) for job in jobs] == [1] * 7
    assert len((await DeadLetters(house.client, house.partitions).page(DeadFilter()))[0]) == 7


async def test_purged_jobs_are_forgotten_and_others_stay(house: Installation) -> None:
    jobs = [await die(house) for _ in range(5)]
    alive = await house.submit()
    again = replayer(house)
    first = await again.purge_page(DeadFilter(), limit=2)
    assert first.jobs == jobs[:2:-1]
    second = await again.purge_page(DeadFilter(), before=first.next, limit=2)
    assert second.jobs == jobs[2:0:-1]
    assert await again.purge([jobs[0], alive, house.partitions.new_id("t")]) == [jobs[0]]
    due = (await house.keeper.expire("00")).retained
    assert sorted(due) == sorted(jobs)
    assert sorted(await house.keeper.retention("00", due)) == sorted(jobs)
    assert await house.client.exists(house.keys.dead, f"{house.keys.dead}:a") == 1, "the stream is there, and empty"
    assert await house.client.xlen(f"{house.keys.dead}:a") == 0
    assert (await house.read(alive)).state == State.QUEUED
