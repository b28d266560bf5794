"""Submit and cancel: repeats, idempotency keys, a full server, an absent one."""

import asyncio

import pytest

from actors.kernel import (
    BodyTooLarge,
    Commit,
    KernelOptions,
    Partitions,
    State,
    StoreFull,
    StoreUnavailable,
    Submission,
    Submitter,
    UnknownJobId,
    Worker,
    list_jobs,
    read_log,
)
from actors.kernel.scripts import text
from tests.conftest import RedisServer
from tests.kernel.stages import Installation


def submission(**fields: object) -> Submission:
    known = {"tenant": "t", "stage": "a", "spec": b"{}", "input": b"{}"}
    return Submission(**{**known, **fields})  # type: ignore[arg-type]


async def test_the_same_id_is_accepted_once(house: Installation) -> None:
    job = house.partitions.new_id("t")
    first = await house.submitter.submit(submission(job=job))
    again = await house.submitter.submit(submission(job=job))
    assert (first.outcome, again.outcome, again.job) == ("ok", "exists", job)
    assert await house.client.xlen(house.keys.inbox("a", "cpu", "normal")) == 1


async def test_an_idempotency_key_names_one_request(house: Installation) -> None:
    first = await house.submitter.submit(submission(idempotency_key="k", digest="d"))
    again = await house.submitter.submit(submission(idempotency_key="k", digest="d"))
    other = await house.submitter.submit(submission(idempotency_key="k", digest="e"))
    foreign = await house.submitter.submit(submission(tenant="u", idempotency_key="k", digest="e"))
    assert [again.outcome, other.outcome, foreign.outcome] == ["exists", "conflict", "ok"]
    assert again.job == other.job == first.job != foreign.job


async def test_an_idempotency_key_outlives_the_end_of_its_job(house: Installation) -> None:
    first = await house.submitter.submit(submission(idempotency_key="k", digest="d"))
    await house.submitter.cancel(first.job, "ann")
    again = await house.submitter.submit(submission(idempotency_key="k", digest="d"))
    assert (again.outcome, again.job, again.state) == ("exists", first.job, State.CANCELLED)


async def test_sixty_submits_at_once_under_one_key_make_one_job(house: Installation) -> None:
    calls = [house.submitter.submit(submission(idempotency_key="k", digest="d")) for _ in range(60)]
    submitted = await asyncio.gather(*calls)
    assert [answer.outcome for answer in submitted].count("ok") == 1
    assert len({answer.job for answer in submitted}) == 1


async def test_a_tenant_keeps_to_its_partition(redis_url: str, kernel_options: KernelOptions) -> None:
    house = Installation(redis_url, kernel_options, partitions=16)
    jobs = [(await house.submitter.submit(submission(tenant="acme"))).job for _ in range(3)]
    assert {house.partitions.of_job(job) for job in jobs} == {house.partitions.of_tenant("acme")}
    tags = {text(key).split("}")[0] for key in await house.client.keys("*")}
    assert len(tags) == 1
    await house.client.aclose()


async def test_a_body_over_64_kib_is_refused(house: Installation) -> None:
    with pytest.raises(BodyTooLarge):
        await house.submitter.submit(submission(spec=b"x" * 65_537))
    assert await house.client.dbsize() == 0


@pytest.mark.parametrize("wrong", ["", "j00", "j00-", "j7-x", "x00-abc", "j99-01abc", "jé-x", "00-x"])
async def test_a_foreign_id_is_refused_without_asking_redis(house: Installation, wrong: str) -> None:
    with pytest.raises(UnknownJobId):
        await house.submitter.cancel(wrong, "ann")


async def test_cancel_of_a_waiting_job_ends_it_and_its_hint(house: Installation) -> None:
    job = (await house.submitter.submit(submission())).job
    assert (await house.submitter.cancel(job, 'ann "the owner"')).outcome == "cancelled"
    assert (await house.submitter.cancel(job, "bob")).outcome == "terminal"
    assert await house.client.xlen(house.keys.inbox("a", "cpu", "normal")) == 0
    log = await read_log(house.client, house.partitions, job)
    assert [(entry.type, bytes(entry.data)) for entry in log][-1] == ("job.cancelled", b'{"by":"ann \\"the owner\\""}')


async def test_a_full_redis_refuses_new_work_and_finishes_running_work(own_redis_server: RedisServer) -> None:
    house = Installation(own_redis_server.url, KernelOptions())
    worker = Worker(house.client, house.partitions, house.options, "w")
    jobs = [(await house.submitter.submit(submission())).job for _ in range(12)]
    inbox = [house.keys.inbox("a", "cpu", "normal")]
    held = (await worker.take("00", inbox, 10, "n1")).grants
    waiting = jobs[10:]
    await house.client.config_set("maxmemory", 1)
    before = await house.client.dbsize()
    with pytest.raises(StoreFull):
        await house.submitter.submit(submission(idempotency_key="k", digest="d"))
    assert await house.client.dbsize() == before, "a refused submit leaves nothing"
    following = [Commit(grant.job, grant.fence, "next", "b", "cpu", b"{}") for grant in held]
    assert await worker.commit("00", following) == ["OK"] * 10
    again = (await worker.take("00", [house.keys.inbox("b", "cpu", "normal")], 20, "n2")).grants
    ends = [Commit(grant.job, grant.fence, "done", "", "", b"{}") for grant in again]
    assert await worker.commit("00", ends) == ["OK"] * 10
    rest = (await worker.take("00", inbox, 10, "n3")).grants
    assert {grant.job for grant in rest} == set(waiting)
    await house.client.config_set("maxmemory", 0)
    assert (await house.submitter.submit(submission(idempotency_key="k", digest="d"))).outcome == "ok"
    await house.client.aclose()


async def test_an_absent_redis_is_reported_after_the_patience(own_redis_server: RedisServer) -> None:
    house = Installation(own_redis_server.url, KernelOptions())
    impatient = Submitter(house.client, Partitions(1), house.options, patience_s=0.3)
    own_redis_server.kill()
    with pytest.raises(StoreUnavailable):
        await impatient.submit(submission())
    own_redis_server.start()
    assert (await impatient.submit(submission())).outcome == "ok"
    await house.client.aclose()


@pytest.mark.parametrize("new_jobs", [0, 3])
async def test_listing_pages_are_complete_and_newest_first(house: Installation, new_jobs: int) -> None:
    submitted = await asyncio.gather(*(house.submitter.submit(submission()) for _ in range(130)))
    jobs = [answer.job for answer in submitted]
    seen: list[str] = []
    created: list[int] = []
    cursor: str | None = None
    for _ in range(30):
        page, cursor = await list_jobs(house.client, house.partitions, "t", before=cursor, limit=7)
        for _ in range(new_jobs):
            await house.submit()
        seen += [view.job for view in page]
        created += [view.created_at_ms for view in page]
        if cursor is None:
            break
    assert sorted(seen) == sorted(jobs)
    assert len(seen) == len(set(seen))
    assert created == sorted(created, reverse=True)


async def test_listing_filters_by_state(house: Installation) -> None:
    jobs = [(await house.submitter.submit(submission())).job for _ in range(6)]
    for job in jobs[::2]:
        await house.submitter.cancel(job, "ann")
    page, cursor = await list_jobs(house.client, house.partitions, "t", wanted=lambda job: job.state == State.CANCELLED)
    assert (sorted(view.job for view in page), cursor) == (sorted(jobs[::2]), None)
    with pytest.raises(ValueError, match="nonsense"):
        await list_jobs(house.client, house.partitions, "t", before="nonsense")
