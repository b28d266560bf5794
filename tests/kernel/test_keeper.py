"""The reaper's verbs on old rows: time is tested by writing what it would have left behind."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from actors.kernel import (
    Beat,
    Commit,
    Endpoint,
    Fail,
    Grant,
    KernelOptions,
    Partitions,
    RedisOptions,
    State,
    Submission,
    UnfitServer,
    Worker,
    admit,
    connect,
)
from actors.kernel.scripts import text
from tests.conftest import RedisServer
from tests.kernel.stages import Installation

ALL = ("again", "high", "normal", "low")


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[Installation]:
    installation = Installation(redis_url, KernelOptions(window=1000))
    yield installation
    await installation.client.aclose()


async def take(house: Installation, stage: str = "a", want: int = 50, worker: str = "w") -> list[Grant]:
    client = Worker(house.client, house.partitions, house.options, worker)
    inboxes = [house.keys.inbox(stage, "cpu", name) for name in ALL]
    nonce = f"n{await house.client.incr('test:nonce')}"
    return (await client.take("00", inboxes, want, nonce)).grants


def worker(house: Installation) -> Worker:
    return Worker(house.client, house.partitions, house.options, "w")


async def test_reap_looks_only_at_leases_that_ran_out(house: Installation) -> None:
    jobs = [await house.submit() for _ in range(5)]
    await take(house)
    await house.client.zadd(house.keys.leases, {jobs[2]: 1})
    assert await house.reap() == {jobs[2]: "requeued"}
    assert [(await house.read(job)).state for job in jobs].count(State.RUNNING) == 4


async def test_one_dead_lease_behind_many_healthy_ones_is_found_at_once(house: Installation) -> None:
    jobs = [await house.submit() for _ in range(150)]
    for _ in range(3):
        await take(house)
    await house.client.zadd(house.keys.leases, {jobs[-1]: 1})
    assert await house.reap() == {jobs[-1]: "requeued"}


async def test_two_reapers_at_once_requeue_once(house: Installation) -> None:
    job = await house.submit()
    await take(house)
    await house.client.zadd(house.keys.leases, {job: 1})
    outcomes = await asyncio.gather(*(house.reap() for _ in range(8)))
    assert [outcome for outcome in outcomes if outcome] == [{job: "requeued"}]
    seen = await house.read(job)
    assert (seen.crashes, await house.client.xlen(house.keys.inbox("a", "cpu", "again"))) == (1, 1)


@pytest.mark.parametrize("age_ms", [5_001, -5])
async def test_a_reaper_that_has_not_heard_of_the_server_ends_nothing(house: Installation, age_ms: int) -> None:
    job = await house.submit()
    await take(house)
    await house.client.zadd(house.keys.leases, {job: 1})
    now_ms = await house.keeper.server_time_ms()
    reaped = await house.keeper.reap("00", now_ms - age_ms if age_ms > 0 else now_ms + 10_000)
    assert (reaped.stale, reaped.jobs) == (True, {})
    assert (await house.read(job)).state == State.RUNNING


async def test_leases_from_the_future_are_cut_to_one_lease(house: Installation) -> None:
    job = await house.submit()
    await take(house)
    now_ms = await house.keeper.server_time_ms()
    await house.client.zadd(house.keys.leases, {job: now_ms + 3_600_000})
    assert await house.reap() == {}
    score = await house.client.zscore(house.keys.leases, job)
    assert score is not None
    assert score <= now_ms + house.options.lease_ms + 1_000


async def test_a_row_of_a_job_that_does_not_run_is_dropped(house: Installation) -> None:
    job = await house.submit()
    await house.client.zadd(house.keys.leases, {job: 1, "j00-unknown": 1})
    assert await house.reap() == {}
    assert await house.client.zcard(house.keys.leases) == 0
    assert (await house.read(job)).state == State.QUEUED


async def test_promote_is_bounded_and_complete(house: Installation) -> None:
    jobs = [await house.submit() for _ in range(130)]
    while grants := await take(house):
        fails = [Fail(grant.job, grant.fence, "transient", 60_000, 9, b"{}", b'{"code":"X"}') for grant in grants]
        await worker(house).fail("00", fails)
    await house.client.zadd(house.keys.due, dict.fromkeys(jobs, 1))
    moved = [len(await house.keeper.promote("00")) for _ in range(3)]
    assert moved == [100, 30, 0]
    assert len(await take(house, want=200)) == 100, "one take meets at most a hundred hints"


async def test_nothing_is_promoted_early(house: Installation) -> None:
    job = await house.submit()
    (grant,) = await take(house)
    await worker(house).fail("00", [Fail(job, grant.fence, "transient", 60_000, 9, b"{}", b'{"code":"X"}')])
    assert await house.keeper.promote("00") == []
    reason = json.loads((await house.read(job)).reason or b"")
    assert (reason["code"], reason["until"][-1]) == ("X", "Z")


async def test_expire_ends_waiting_and_running_jobs(house: Installation) -> None:
    running, waiting = await house.submit(), await house.submit("b")
    await take(house)
    await house.client.zadd(house.keys.deadlines, {running: 1, waiting: 1})
    assert sorted((await house.keeper.expire("00")).jobs) == sorted([running, waiting])
    assert {(await house.read(job)).state for job in (running, waiting)} == {State.EXPIRED}
    assert await house.client.zcard(house.keys.leases) == 0
    assert await house.client.xlen(house.keys.inbox("b", "cpu", "normal")) == 0


async def test_retention_forgets_a_job_and_everything_of_it(house: Installation) -> None:
    job = await house.submit()
    (grant,) = await take(house)
    await worker(house).fail("00", [Fail(job, grant.fence, "permanent", 0, 1, b"{}", b'{"code":"X"}')])
    assert await house.keeper.retention("00", [job]) == [], "not yet due"
    await house.client.zadd(house.keys.deadlines, {job: 1})
    assert (await house.keeper.expire("00")).retained == [job]
    assert await house.keeper.retention("00", [job]) == [job]
    left = {text(key) for key in await house.client.keys(house.keys.root + "*") if job in text(key)}
    assert left == set()
    for name in (house.keys.dead, house.keys.deadlines, house.keys.jobs("t")):
        assert await house.client.zcard(name) == 0
    assert await house.client.xlen(house.keys.root + "dead:a") == 0


async def test_retention_spares_a_living_job(house: Installation) -> None:
    job = await house.submit()
    await house.client.zadd(house.keys.deadlines, {job: 1})
    assert await house.keeper.retention("00", [job]) == []
    assert (await house.read(job)).state == State.QUEUED


@pytest.mark.parametrize("loss", ["entry", "stream", "group", "consumer"])
async def test_a_lost_hint_loses_no_job(house: Installation, loss: str) -> None:
    inbox = house.keys.inbox("a", "cpu", "normal")
    running = await house.submit()
    (grant,) = await take(house)
    waiting = await house.submit()
    match loss:
        case "entry":
            await house.client.xtrim(inbox, maxlen=0, approximate=False)
        case "stream":
            await house.client.delete(inbox)
        case "group":
            await house.client.xgroup_destroy(inbox, "rw")
        case "consumer":
            await house.client.xgroup_delconsumer(inbox, "rw", "w")
    await house.keeper.reconcile("00", "0")
    assert [taken.job for taken in await take(house)] == [waiting]
    assert await worker(house).commit("00", [Commit(running, grant.fence, "done", "", "", b"{}")]) == ["OK"]


async def test_an_entry_that_was_delivered_to_nobody_is_a_ghost(house: Installation) -> None:
    """Read by a consumer outside of `take` and then forgotten with it: in no pending list, never delivered again."""
    job = await house.submit()
    inbox = house.keys.inbox("a", "cpu", "normal")
    await house.client.xgroup_create(inbox, "rw", "0")
    await house.client.xreadgroup("rw", "stranger", {inbox: ">"})
    await house.client.xgroup_delconsumer(inbox, "rw", "stranger")
    assert await take(house) == []
    assert (await house.keeper.reconcile("00", "0"))[1] == {job: "hint"}
    assert [grant.job for grant in await take(house)] == [job]


async def test_reconcile_walks_many_jobs_in_pages(house: Installation) -> None:
    jobs = [await house.submit() for _ in range(700)]
    await house.client.delete(house.keys.inbox("a", "cpu", "normal"))
    cursor, repaired, calls = "0", {}, 0
    while True:
        cursor, repairs = await house.keeper.reconcile("00", cursor)
        repaired.update(repairs)
        calls += 1
        if cursor == "0":
            break
    assert repaired == dict.fromkeys(jobs, "hint")
    assert calls > 3


async def test_a_new_installation_gives_back_old_leases_uncharged(house: Installation) -> None:
    jobs = [await house.submit() for _ in range(3)]
    await take(house)
    assert await house.keeper.give_back("00") == 3
    for job in jobs:
        seen = await house.read(job)
        assert (seen.state, seen.crashes, seen.attempt) == (State.QUEUED, 0, 0)


async def test_an_end_makes_one_delivery_per_endpoint_that_wants_it(house: Installation) -> None:
    await house.keeper.set_endpoint("t", "wants", Endpoint({"job.completed": True}, "x", 60_000))
    await house.keeper.set_endpoint("t", "other", Endpoint({"job.failed": True}, "x", 60_000))
    job = await house.submit()
    (grant,) = await take(house)
    end = Commit(job, grant.fence, "done", "", "", b"{}", (), b'{"outputs":[]}')
    assert await worker(house).commit("00", [end, end]) == ["OK", "ALREADY"]
    (delivery,) = await take(house, "notify")
    assert (delivery.job, delivery.kind) == (f"{job}.e3.1", "delivery")
    body = json.loads(delivery.input)
    assert (body["endpoint"], body["event"]["type"], body["event"]["rev"]) == ("wants", "job.completed", 3)
    assert body["event"]["data"] == {"outputs": []}
    await worker(house).commit("00", [Commit(delivery.job, delivery.fence, "done", "", "", b"{}")])
    assert await take(house, "notify") == [], "a delivery creates no delivery"
    assert await house.client.xlen(house.keys.feed) == 3, "and writes nothing to the feed"


async def test_a_feed_that_was_lost_begins_under_a_new_epoch(house: Installation) -> None:
    await house.submit()
    first = await house.client.get(house.keys.epoch)
    await house.client.delete(house.keys.feed)
    await asyncio.sleep(0.002)
    await house.submit()
    assert first != await house.client.get(house.keys.epoch)
    assert await house.client.xlen(house.keys.feed) == 1


async def test_a_round_gives_no_epoch_to_a_feed_that_is_not_there_yet(house: Installation) -> None:
    await house.keeper.reconcile("00", "0")
    assert await house.client.exists(house.keys.epoch) == 0


async def test_a_lost_epoch_comes_back_with_the_next_round(house: Installation) -> None:
    await house.submit()
    known = await house.client.get(house.keys.epoch)
    await house.keeper.reconcile("00", "0")
    assert await house.client.get(house.keys.epoch) == known
    await house.client.delete(house.keys.epoch)
    await house.keeper.reconcile("00", "0")
    assert await house.client.get(house.keys.epoch) is not None


async def test_progress_never_evicts_a_durable_event(house: Installation) -> None:
    job = await house.submit()
    (grant,) = await take(house)
    for first in range(0, 3000, 50):
        beats = [Beat(job, grant.fence, 1 + number / 100, b"{}") for number in range(first, first + 50)]
        await worker(house).beat("00", beats)
    await worker(house).commit("00", [Commit(job, grant.fence, "done", "", "", b"{}")])
    assert await house.client.xlen(house.keys.feed) == 3


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_an_evicting_server_is_refused(own_redis_server: RedisServer, policy: str) -> None:
    client = connect(RedisOptions(url=own_redis_server.url))
    await client.config_set("maxmemory-policy", policy)
    with pytest.raises(UnfitServer, match="noeviction"):
        await admit(client, Partitions(1))
    await client.aclose()


async def test_a_role_with_another_number_of_partitions_is_refused(own_redis_server: RedisServer) -> None:
    client = connect(RedisOptions(url=own_redis_server.url))
    await admit(client, Partitions(4))
    await admit(client, Partitions(4))
    with pytest.raises(UnfitServer, match="partitions 4"):
        await admit(client, Partitions(5))
    await client.aclose()


async def test_a_submission_of_another_tenant_does_not_reach_an_endpoint(house: Installation) -> None:
    await house.keeper.set_endpoint("other", "wants", Endpoint({"job.completed": True}, "x", 60_000))
    await house.submitter.submit(Submission(tenant="t", stage="a", spec=b"{}", input=b"{}"))
    (grant,) = await take(house)
    await worker(house).commit("00", [Commit(grant.job, grant.fence, "done", "", "", b"{}")])
    assert await take(house, "notify") == []


async def test_a_stale_hint_in_another_inbox_starts_nothing(house: Installation) -> None:
    job = await house.submit("b")
    await house.client.xadd(house.keys.inbox("a", "cpu", "normal"), {"job": job})
    await house.client.xadd(house.keys.inbox("b", "cpu", "low"), {"job": job})
    assert await take(house, "a") == []
    assert [grant.job for grant in await take(house, "b")] == [job]
    assert await house.client.xlen(house.keys.inbox("a", "cpu", "normal")) == 0
    assert await house.client.xlen(house.keys.inbox("b", "cpu", "low")) == 0
