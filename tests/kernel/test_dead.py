"""Dead letters: what they keep, and finding them under a cursor while they come and go."""

import random
from collections.abc import AsyncIterator

import msgspec
import pytest
import redis.asyncio

from actors.kernel import Fail, KernelOptions, Submission, Worker, new_nonce
from actors.kernel.dead import DeadLetters
from actors.kernel.dead_letter import DeadFilter, DeadLetter
from actors.kernel.newest import PAGE, Place, newest_first
from actors.kernel.quarantine import list_quarantined
from tests.kernel.stages import Installation

SIXTEEN = 16


@pytest.fixture
async def large(redis_url: str, kernel_options: KernelOptions) -> AsyncIterator[Installation]:
    """An installation of sixteen partitions."""
    installation = Installation(redis_url, kernel_options, partitions=SIXTEEN)
    yield installation
    await installation.client.aclose()


async def die(
    house: Installation, *, tenant: str = "t", stage: str = "a", code: str = "BROKEN", cls: str = "permanent"
) -> str:
    """A job that failed for good, as a worker ends it."""
    job = (await house.submitter.submit(Submission(tenant=tenant, stage=stage, spec=b"{}", input=b"{}"))).job
    worker = Worker(house.client, house.partitions, house.options, "host-7-abc")
    partition = house.partitions.of_tenant(tenant)
    inbox = house.partitions.keys(partition).inbox(stage, "cpu", "normal")
    grant = (await worker.take(partition, [inbox], 1, new_nonce())).grants[0]
    assert grant.job == job
    error = msgspec.json.encode({"code": code, "message": f"{code} happened."})
    await worker.fail(partition, [Fail(job, grant.fence, cls, 0, 1, error, b"{}")])  # type: ignore[arg-type]
    return job


async def all_pages(dead: DeadLetters, wanted: DeadFilter, limit: int) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    cursor: str | None = None
    while True:
        page, cursor = await dead.page(wanted, before=cursor, limit=limit)
        assert len(page) <= limit
        found += page
        if cursor is None:
            return found


async def test_a_dead_letter_keeps_what_went_wrong(house: Installation) -> None:
    job = await die(house, code="NOT_MEDIA")
    dead = DeadLetters(house.client, house.partitions)
    detail = await dead.show(job)
    assert detail is not None
    letter = detail.letter
    assert (letter.job, letter.tenant, letter.stage, letter.kind, letter.parent) == (job, "t", "a", "media", "")
    assert (letter.why, letter.code, letter.attempt, letter.crashes) == ("permanent", "NOT_MEDIA", 1, 0)
    assert letter.worker == "host-7-abc"
    assert letter.fence == detail.view.fence != ""
    assert letter.died_at_ms == detail.view.ended_at_ms
    assert msgspec.json.decode(letter.error)["message"] == "NOT_MEDIA happened."
    assert [entry.type for entry in detail.log] == ["job.queued", "job.started", "job.failed"]


async def test_a_letter_outlives_the_loss_of_its_stream(house: Installation) -> None:
    job = await die(house)
    await house.client.delete(f"{house.keys.dead}:a")
    (letter,), _ = await DeadLetters(house.client, house.partitions).page(DeadFilter())
    assert (letter.job, letter.code, letter.attempt, letter.worker) == (job, "BROKEN", 1, "host-7-abc")


async def test_one_broken_row_does_not_hide_the_others(house: Installation) -> None:
    job = await die(house)
    gone, broken, foreign = f"{job}0", f"{job}1", "no id at all"
    await house.client.set(house.keys.job(broken), "not a hash")
    await house.client.zadd(house.keys.dead, {gone: 1, broken: 2, foreign: 3})
    found, cursor = await DeadLetters(house.client, house.partitions).page(DeadFilter())
    assert ([letter.job for letter in found], cursor) == ([job], None)


async def test_filters(large: Installation) -> None:
    jobs = {
        (tenant, stage, code): await die(large, tenant=tenant, stage=stage, code=code, cls=cls)
        for tenant in ("ann", "ben", "cid")
        for stage in ("a", "b")
        for code, cls in (("BROKEN", "permanent"), ("STUCK", "stalled"))
    }
    dead = DeadLetters(large.client, large.partitions)

    async def found(**fields: object) -> set[str]:
        return {letter.job for letter in await all_pages(dead, DeadFilter(**fields), 2)}  # type: ignore[arg-type]

    assert await found() == set(jobs.values())
    assert await found(tenant="ben") == {job for (tenant, _, _), job in jobs.items() if tenant == "ben"}
    assert await found(stage="b", why="stalled") == {
        job for (_, stage, code), job in jobs.items() if (stage, code) == ("b", "STUCK")
    }
    assert await found(code="BROKEN", tenant="cid", stage="a") == {jobs["cid", "a", "BROKEN"]}
    assert await found(kind="delivery") == set()
    some = await dead.find(jobs["ann", "b", "BROKEN"])
    assert some is not None
    assert some.job in await found(since_ms=some.died_at_ms)
    assert some.job in await found(until_ms=some.died_at_ms)
    assert some.job not in await found(since_ms=some.died_at_ms + 1)
    assert some.job not in await found(until_ms=some.died_at_ms - 1)


async def test_counts(large: Installation) -> None:
    for tenant, code in (("ann", "BROKEN"), ("ben", "BROKEN"), ("ben", "STUCK")):
        await die(large, tenant=tenant, code=code)
    dead = DeadLetters(large.client, large.partitions)
    counted = await dead.count(DeadFilter())
    assert (counted.rows, counted.matching, counted.complete) == (3, 3, True)
    assert [(group.stage, group.code, group.count) for group in counted.groups] == [
        ("a", "BROKEN", 2),
        ("a", "STUCK", 1),
    ]
    newest, _ = await dead.page(DeadFilter(), limit=1)
    assert counted.newest_ms == newest[0].died_at_ms
    assert (await dead.count(DeadFilter(code="STUCK"))).matching == 1
    nothing = await dead.count(DeadFilter(tenant="nobody"))
    assert (nothing.rows, nothing.newest_ms, nothing.groups) == (0, None, [])


async def test_exports_everything(large: Installation) -> None:
    jobs = {await die(large, tenant=tenant) for tenant in ("ann", "ben", "cid")}
    exported = [detail async for detail in DeadLetters(large.client, large.partitions).export(DeadFilter())]
    assert {detail.letter.job for detail in exported} == jobs
    assert all(detail.log[-1].type == "job.failed" for detail in exported)


@pytest.mark.parametrize("seed", range(8))
async def test_pages_of_sixteen_partitions_are_one_listing(large: Installation, seed: int) -> None:
    """Whatever the sizes, ties and page lengths: every row once, newest first, as if there were one set."""
    draw = random.Random(seed)
    sets = [large.partitions.keys(partition).dead for partition in large.partitions]
    span = draw.choice((1, 5, 1000))
    rows: list[Place] = []
    for partition in large.partitions:
        count = draw.choice((0, 0, 1, PAGE, PAGE + 1, 3 * PAGE))
        rows += [Place(1000 + draw.randrange(span), f"j{partition}-{number:05d}") for number in range(count)]
    await fill(large.client, sets, rows)
    low, high = sorted((1000 + draw.randrange(span), 1000 + draw.randrange(span)))
    for since, until in ((None, None), (low, high)):
        expected = sorted((row for row in rows if (since or 0) <= row.at_ms <= (until or 9999)), reverse=True)
        found: list[Place] = []
        before: Place | None = None
        length = draw.randrange(1, 70)
        while True:
            page = await first_rows(large.client, sets, length, before, since, until)
            found += page
            if len(page) < length:
                break
            before = Place.parse(str(page[-1]))
        assert found == expected


@pytest.mark.parametrize("seed", range(4))
async def test_rows_that_come_and_go_shift_nothing(large: Installation, seed: int) -> None:
    """What stays is listed exactly once, whatever is replayed, forgotten or dies while the pages are read."""
    draw = random.Random(seed)
    sets = [large.partitions.keys(partition).dead for partition in large.partitions]
    rows = [Place(1000 + draw.randrange(40), f"j{number % SIXTEEN:02d}-{number:05d}") for number in range(600)]
    await fill(large.client, sets, rows)
    staying = set(draw.sample(rows, 300))
    leaving = [row for row in rows if row not in staying]
    draw.shuffle(leaving)
    found: list[Place] = []
    before: Place | None = None
    while page := await first_rows(large.client, sets, 17, before):
        found += page
        before = page[-1]
        for row in leaving[:15]:
            await large.client.zrem(sets[int(row.member[1:3])], row.member)
        del leaving[:15]
        newcomer = Place(5000 + len(found), f"j{draw.randrange(SIXTEEN):02d}-9{len(found):05d}")
        await fill(large.client, sets, [newcomer])
    assert [row for row in found if row in staying] == sorted(staying, reverse=True)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("cursor", ["", "x", "12", "-j00-x", "1.5-x", "１-x", "12-"])
async def test_a_foreign_cursor_is_refused(house: Installation, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await DeadLetters(house.client, house.partitions).page(DeadFilter(), before=cursor)


async def test_a_filtered_page_ends_with_a_cursor(house: Installation) -> None:
    """However rare what is looked for: a page is bounded, and the pages together find it."""
    wanted = await die(house, code="RARE")
    await house.client.zadd(house.keys.dead, {f"{wanted}.{number}": 9e12 + number for number in range(2100)})
    dead = DeadLetters(house.client, house.partitions)
    page, cursor = await dead.page(DeadFilter(code="RARE"), limit=5)
    assert (page, cursor is None) == ([], False)
    page, cursor = await dead.page(DeadFilter(code="RARE"), before=cursor, limit=5)
    assert ([letter.job for letter in page], cursor) == ([wanted], None)


async def test_the_quarantine_is_listed(large: Installation) -> None:
    jobs = [large.partitions.new_id(tenant) for tenant in ("ann", "ben", "cid")]
    for number, job in enumerate(jobs):
        root = large.partitions.keys_of_job(job).root
        await large.client.zadd(f"{root}quarantine", {job: 1000 + number})
    kept = f"{large.partitions.keys_of_job(jobs[0]).root}quarantined:{jobs[0]}"
    await large.client.hset(kept, mapping={"state": "odd", "spec": b"\xff" * 9999})
    await large.client.set(f"{large.partitions.keys_of_job(jobs[1]).root}quarantined:{jobs[1]}", "x")
    first, cursor = await list_quarantined(large.client, large.partitions, limit=2)
    rest, end = await list_quarantined(large.client, large.partitions, before=cursor, limit=2)
    assert [row.job for row in (*first, *rest)] == jobs[::-1]
    assert [row.type for row in (*first, *rest)] == ["none", "string", "hash"]
    assert end is None
    assert rest[0].fields["state"] == "odd"
    assert len(rest[0].fields["spec"]) < 600


async def fill(client: redis.asyncio.Redis, sets: list[str], rows: list[Place]) -> None:
    for row in rows:
        await client.zadd(sets[int(row.member[1:3])], {row.member: row.at_ms})


async def first_rows(
    client: redis.asyncio.Redis,
    sets: list[str],
    length: int,
    before: Place | None,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> list[Place]:
    page: list[Place] = []
    rows = newest_first(client, sets, before=before, since_ms=since_ms, until_ms=until_ms)
    async for row in rows:
        page.append(row)
        if len(page) == length:
            break
    await rows.aclose()
    return page
