"""Cases of streams: hints, groups, consumers and streams that are lost, doubled or made anew."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from actors.kernel import Done, End, KernelOptions, Pulse, Result, State, Task
from actors.kernel.keys import GROUP
from actors.kernel.scripts import LUA, text
from tests.kernel.cases.hands import Hands, lose_leases
from tests.kernel.cases.reaping import reaping
from tests.kernel.cases.worker_process import submit, until_started, worker_processes
from tests.kernel.stages import Installation, Scripted, done, eventually, server_ms


async def _inboxes(house: Installation) -> list[str]:
    return [text(key) for key in await house.client.keys(house.keys.root + "in:*")]


async def _waiting_and_pending(house: Installation) -> tuple[int, int]:
    """Entries in all inboxes, and how many of them the groups hold as delivered."""
    entries = pending = 0
    for inbox in await _inboxes(house):
        entries += await house.client.xlen(inbox)
        pending += sum(group["pending"] for group in await house.client.xinfo_groups(inbox))
    return entries, pending


@pytest.mark.parametrize("end", ["commit", "release", "lost"])
async def test_case_14_a_running_job_whose_entry_was_deleted_ends_once(house: Installation, end: str) -> None:
    """Deleted but pending (redis #10198 and #7021, lorawan-stack PR #5321): a deleted entry stayed in the pending list
    on 6.2, and vanished with its job on 7.0.

    The entry is a hint and its job runs without it; however the lease ends, the job ends once, nothing stays pending.
    """
    hands = Hands(house)
    job = await house.submit()
    grant = await hands.take_one()
    inbox = house.keys.inbox("a", "cpu", "normal")
    assert await house.client.xtrim(inbox, maxlen=0, approximate=False) == 1
    assert await hands.beat(grant) == Pulse.OK
    if end == "commit":
        assert await hands.commit(grant) == End.OK
    elif end == "release":
        assert await hands.release(grant) == End.OK
    else:
        assert await lose_leases(house, job) == {job: "requeued"}
    if end != "commit":
        assert await hands.commit(await hands.take_one()) == End.OK
    assert (await house.read(job)).state == State.COMPLETED
    assert await hands.take() == []
    assert await _waiting_and_pending(house) == (0, 0)


async def test_case_15_consumers_that_were_deleted_take_no_job_with_them(redis_url: str, tmp_path: Path) -> None:
    """DELCONSUMER ghosts (redis #9745, watermill-redisstream #24, ocean PR #3766): entries of a deleted consumer are in
    the stream, in no pending list, and never delivered again.

    A worker process is killed with a job, then every consumer of every inbox is deleted; another worker finishes it.
    """
    house = Installation(redis_url, KernelOptions(lease_s=0.4, beat_s=0.1))
    async with reaping(redis_url, house.options, tmp_path):
        async with worker_processes(house, 1) as (worker,):
            job = await submit(house, lasts_s=60)
            await until_started(house, job)
            await worker.kill()
        for inbox in await _inboxes(house):
            for consumer in await house.client.xinfo_consumers(inbox, GROUP):
                await house.client.xgroup_delconsumer(inbox, GROUP, consumer["name"])
        async with house.running(house.actor(Scripted(done))):
            assert (await house.until(job, State.COMPLETED)).takes == 2
    assert await _waiting_and_pending(house) == (0, 0)
    await house.client.aclose()


async def _delete_inboxes(house: Installation) -> None:
    for inbox in await _inboxes(house):
        await house.client.delete(inbox)


async def _destroy_groups(house: Installation) -> None:
    for inbox in await _inboxes(house):
        await house.client.xgroup_destroy(inbox, GROUP)


@pytest.mark.parametrize("lose", [_delete_inboxes, _destroy_groups], ids=["streams", "groups"])
async def test_case_16_lost_streams_and_groups_come_back_under_load(
    house: Installation, tmp_path: Path, lose: Callable[[Installation], Awaitable[None]]
) -> None:
    """NOGROUP (faststream #2611, jac PR #7452, opik PR #5525): workers stopped and asked for a restart, or logged 600
    errors a second, because they remembered that the group exists.

    Inboxes or groups are lost again and again, first while every place is taken and jobs wait, then while jobs come and
    go: every job ends, none starts twice, nobody complains.
    """
    go_on = asyncio.Event()

    async def work(task: Task) -> Result:
        await go_on.wait()
        await asyncio.sleep(0.01)
        return Done(b"{}")

    handlers = [Scripted(work) for _ in range(3)]
    jobs: list[str] = []
    with structlog.testing.capture_logs() as logs:
        async with (
            reaping(house.redis_options.url, house.options, tmp_path),
            house.running(*(house.actor(handler) for handler in handlers)),
        ):
            for number in range(6):
                jobs += [await house.submit() for _ in range(30)]
                await lose(house)
                if number == 2:
                    go_on.set()
            for job in jobs:
                assert (await house.until(job, State.COMPLETED)).crashes == 0
    assert sorted(job for handler in handlers for job, _ in handler.started) == sorted(jobs)
    complaints = [entry for entry in logs if entry["log_level"] in ("warning", "error")]
    assert {entry["event"] for entry in complaints} <= {"job.repaired"}
    assert lose is _destroy_groups or complaints, "hints were lost and made anew"


async def test_case_16_an_emptied_server_is_worked_on_at_once(house: Installation, tmp_path: Path) -> None:
    """The same with everything gone: what was accepted before is cleanly gone, what comes afterwards runs at once."""
    handlers = [Scripted(done) for _ in range(2)]
    async with (
        reaping(house.redis_options.url, house.options, tmp_path),
        house.running(*(house.actor(handler) for handler in handlers)),
    ):
        await house.until(await house.submit(), State.COMPLETED)
        with structlog.testing.capture_logs() as logs:
            for _ in range(3):
                await house.client.flushall()
                await house.until(await house.submit(), State.COMPLETED, within_s=2.0)
    assert [entry for entry in logs if entry["log_level"] in ("warning", "error")] == []


async def test_case_17_a_new_group_begins_at_the_beginning(house: Installation) -> None:
    """Group recreated at `$` (jac PR #7489, default of taskiq-redis): what waited in the stream was never delivered."""
    jobs = [await house.submit() for _ in range(10)]
    assert await house.client.xinfo_groups(house.keys.inbox("a", "cpu", "normal")) == []
    assert [grant.job for grant in await Hands(house).take(4)] == jobs[:4]
    await _destroy_groups(house)
    assert [grant.job for grant in await Hands(house).take()] == jobs[4:]


def test_case_18_no_script_trims_an_inbox() -> None:
    """MAXLEN trims unread work (redis #5570, #6199 and #14656). Only the feed and progress are bounded by trimming."""
    trimming = re.compile(r"'(?:MAXLEN|MINID|XTRIM)'")
    for path in sorted(LUA.rglob("*.lua")):
        for line in path.read_text("utf-8").splitlines():
            if trimming.search(line):
                assert re.search(r"'X(?:ADD|TRIM)', (?:FEED|PULSE)\b", line), f"{path.name}: {line.strip()}"


async def test_case_18_what_waits_for_long_is_all_still_there(house: Installation) -> None:
    """And five thousand jobs that nobody worked on all run."""
    jobs: list[str] = []
    for _ in range(50):
        jobs += await asyncio.gather(*(house.submit() for _ in range(100)))
    hints = await house.client.xlen(house.keys.inbox("a", "cpu", "normal"))
    assert hints + await house.client.zcard(house.keys.held("t")) == len(jobs)
    hands = Hands(house)
    taken: list[str] = []
    while grants := await hands.take():
        taken += [grant.job for grant in grants]
    assert sorted(taken) == sorted(jobs)


async def test_a_group_made_anew_starts_no_running_job_again(house: Installation) -> None:
    """Groups of jobs that run are destroyed, and made anew by whoever takes next: nothing is granted a second time."""
    hands = Hands(house)
    jobs = [await house.submit() for _ in range(8)]
    grants = {grant.job: grant for grant in await hands.take()}
    for _ in range(3):
        await _destroy_groups(house)
        assert await Hands(house, "other").take() == []
    for job in jobs:
        assert (await house.read(job)).takes == 1
        assert await hands.commit(grants[job], "b") == End.OK
    assert len(await hands.take(stage="b")) == 8
    assert await house.client.xlen(house.keys.inbox("a", "cpu", "normal")) == 0


@pytest.mark.parametrize("loss", ["group", "entry", "stream", "consumer"])
async def test_a_beat_needs_neither_group_nor_entry(house: Installation, loss: str) -> None:
    """The lease is a row of its own: whatever is lost of the inbox, a beat renews it."""
    hands = Hands(house)
    job = await house.submit()
    grant = await hands.take_one()
    inbox = house.keys.inbox("a", "cpu", "normal")
    match loss:
        case "group":
            await house.client.xgroup_destroy(inbox, GROUP)
        case "entry":
            await house.client.xtrim(inbox, maxlen=0, approximate=False)
        case "stream":
            await house.client.delete(inbox)
        case "consumer":
            await house.client.xgroup_delconsumer(inbox, GROUP, "w")
    await house.client.zadd(house.keys.leases, {job: 1})
    assert await hands.beat(grant, 30.0) == Pulse.OK
    assert await house.reap() == {}
    assert (await house.read(job)).percent == 30.0
    assert await hands.commit(grant) == End.OK
    assert await hands.take() == []


async def test_an_older_hint_of_a_waiting_job_is_not_its_hint(house: Installation) -> None:
    """Only the entry that the hash names starts the job; a doubled one before it is dropped and leaves nothing."""
    hands = Hands(house)
    job = await house.submit()
    inbox = house.keys.inbox("a", "cpu", "normal")
    await house.client.delete(inbox)
    await house.client.xadd(inbox, {"job": job}, id="1-1")
    assert (await house.keeper.reconcile("00", "0"))[1] == {job: "hint"}
    assert await house.client.xlen(inbox) == 2
    grant = await hands.take_one()
    assert await hands.take() == []
    assert await hands.commit(grant) == End.OK
    assert await _waiting_and_pending(house) == (0, 0)


async def test_a_stream_that_began_anew_may_give_an_old_id_to_a_new_hint(house: Installation) -> None:
    """The end of the old hint is meant for the old one, although both have the same name."""
    hands = Hands(house)
    job = await house.submit()
    again = house.keys.inbox("a", "cpu", "again")
    ahead = f"{await server_ms(house.client) + 3_600_000}-0"
    await house.client.xadd(again, {"no": "job"}, id=ahead)
    await hands.release(await hands.take_one())
    grant = await hands.take_one()
    first = await house.client.hget(house.keys.job(job), "entry")
    await house.client.delete(again)
    await house.client.xadd(again, {"no": "job"}, id=ahead)
    assert await hands.release(grant) == End.OK
    assert await house.client.hget(house.keys.job(job), "entry") == first
    assert (await hands.take_one()).job == job


async def test_the_hint_of_a_job_that_ended_wakes_nobody_up(house: Installation) -> None:
    """A stream that came back with old entries, as from an old copy of the data, holds stale hints: all are dropped."""
    hands = Hands(house)
    job = await house.submit()
    inbox = house.keys.inbox("a", "cpu", "normal")
    await hands.commit(await hands.take_one())
    for _ in range(3):
        await house.client.xadd(inbox, {"job": job})
    await house.client.xadd(inbox, {"no": "job"})
    assert await hands.take() == []

    async def dropped() -> bool:
        return await house.client.xlen(inbox) == 0

    await eventually(dropped)


async def test_the_same_entry_id_in_another_inbox_starts_nothing(house: Installation) -> None:
    """Ids of two streams have nothing to do with each other: a hint that lies elsewhere under the same id is stale."""
    hands = Hands(house)
    job = await house.submit("b")
    entry = await house.client.hget(house.keys.job(job), "entry") or b""
    await house.client.xadd(house.keys.inbox("a", "cpu", "normal"), {"job": job}, id=entry)
    assert await hands.take() == []
    assert (await hands.take_one("b")).job == job


async def test_an_entry_that_names_another_job_is_no_hint(house: Installation) -> None:
    """The same after a stream was lost and began anew: the id is there again, and names somebody else."""
    job = await house.submit()
    inbox = house.keys.inbox("a", "cpu", "normal")
    entry = await house.client.hget(house.keys.job(job), "entry") or b""
    await house.client.delete(inbox)
    await house.client.xadd(inbox, {"job": "j00-another"}, id=entry)
    assert (await house.keeper.reconcile("00", "0"))[1] == {job: "hint"}
    assert (await Hands(house).take_one()).job == job
