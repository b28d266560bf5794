"""`/v1/admin/dead`: list, count, show, export, replay and purge, over HTTP."""

import asyncio
import json
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest
import redis.asyncio

from actors.kernel import KernelOptions, Partitions, read_job, read_log
from actors.kernel.keeper import Keeper
from tests.gateway.administering import ALL, SIXTEEN, admin, die, every_page, get, many, post, spread
from tests.gateway.conftest import StartGateway, client_of
from tests.gateway.scripted_worker import ScriptedWorker

__all__ = ["admin", "many", "spread"]


async def test_a_listing_over_all_partitions(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    jobs = [await die(spread, f"tenant-{number % 7}") for number in range(25)]
    assert sorted(await every_page(admin, "limit=4")) == sorted(jobs)
    page = await get(admin, "/v1/admin/dead?limit=1")
    letter = page["dead"][0]
    assert list(letter) == [
        "job", "stage", "tenant", "kind", "parent", "why", "code", "attempt", "crashes", "worker", "host", "fence",
        "died_at", "error",
    ]  # fmt: skip
    assert (letter["stage"], letter["kind"], letter["parent"], letter["why"]) == ("ingest", "media", None, "permanent")
    assert (letter["code"], letter["attempt"], letter["crashes"]) == ("NOT_MEDIA", 1, 0)
    assert letter["worker"] == spread.worker.name
    assert letter["error"] == {
        "code": "NOT_MEDIA", "message": "No media.", "suggestion": "Send media.", "retryable": False,
    }  # fmt: skip
    mine = await every_page(admin, "tenant=tenant-3&limit=2")
    assert sorted(mine) == sorted(jobs[3::7])
    assert await every_page(admin, "code=OTHER") == []
    assert len(await every_page(admin, f"until={letter['died_at']}&limit=200")) == 25
    assert await every_page(admin, "since=2100-01-01T00:00:00%2B02:00") == []


async def test_counting(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    for number in range(5):
        await die(spread, f"tenant-{number}")
    counted = await get(admin, "/v1/admin/dead/count")
    assert (counted["rows"], counted["matching"], counted["complete"]) == (5, 5, True)
    assert counted["groups"] == [{"stage": "ingest", "why": "permanent", "code": "NOT_MEDIA", "count": 5}]
    newest = (await get(admin, "/v1/admin/dead?limit=1"))["dead"][0]["died_at"]
    assert counted["newest_at"] == newest
    assert (await get(admin, "/v1/admin/dead/count?tenant=tenant-1"))["matching"] == 1


async def test_showing_one(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    job = await die(spread)
    detail = await get(admin, f"/v1/admin/dead/{job}")
    assert detail["job"] == job
    assert detail["remains"]["spec"]["format"] == "mp3"
    assert [event["type"] for event in detail["events"]] == ["job.queued", "job.started", "job.failed"]
    assert detail["events"][-1]["data"]["error"]["code"] == "NOT_MEDIA"
    alive = await spread.submit()
    problem = await get(admin, f"/v1/admin/dead/{alive}", 404)
    assert problem["code"] == "DEAD_LETTER_NOT_FOUND"
    assert (await get(admin, "/v1/admin/dead/nonsense", 404))["code"] == "JOB_NOT_FOUND"


async def test_exporting(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    jobs = {await die(spread, f"tenant-{number % 5}") for number in range(60)}
    async with admin.get("/v1/admin/dead/export") as response:
        assert response.content_type == "application/x-ndjson"
        lines = [json.loads(line) for line in (await response.read()).splitlines()]
    assert {line["job"] for line in lines} == jobs
    assert [line["died_at"] for line in lines] == sorted((line["died_at"] for line in lines), reverse=True)
    assert all(line["events"] and line["remains"] for line in lines)
    async with admin.get("/v1/admin/dead/export?tenant=nobody") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_a_replayed_job_has_full_budgets(
    admin: aiohttp.ClientSession, spread: ScriptedWorker, redis_client: redis.asyncio.Redis, many: Partitions
) -> None:
    job = await die(spread)
    replayed = await post(admin, f"/v1/admin/dead/{job}/replay", {"deadline_s": 600})
    assert replayed == {"job": job, "outcome": "replayed", "state": "queued", "start": "here"}
    view = await read_job(redis_client, many, job)
    assert view is not None
    assert (view.attempt, view.crashes, view.error, view.ended_at_ms) == (0, 0, None, None)
    assert 590_000 < view.deadline_ms - view.updated_at_ms <= 600_000
    assert await every_page(admin, "") == []
    assert (await post(admin, f"/v1/admin/dead/{job}/replay"))["outcome"] == "replayed", "a repeat"
    log = await read_log(redis_client, many, job)
    assert [entry.type for entry in log].count("job.replayed") == 1
    grant = await spread.take("ingest", job)
    assert (grant.attempt, grant.crashes) == (0, 0)
    await spread.next(grant, "fetch")
    assert (await post(admin, f"/v1/admin/dead/{job}/replay"))["outcome"] == "already", "it is on its way"


async def test_where_a_replay_starts(
    start_gateway: StartGateway, spread: ScriptedWorker, tmp_path: Path, many: Partitions
) -> None:
    """At the failed stage while what it needs is there, otherwise at the first."""
    gateway = await start_gateway(redis__partitions=SIXTEEN)
    storage = gateway.context.storage
    async with client_of(gateway) as admin:
        for is_there, start, stage in ((True, "here", "fetch"), (False, "first", "ingest")):
            job = await spread.submit()
            grant = await spread.take("ingest", job)
            refs = (f"work/{job}/{grant.fence}",)
            await spread.next(grant, "fetch", refs)
            if is_there:
                await storage.make_folder(refs[0])
            await spread.fail(await spread.take("fetch", job))
            assert (await post(admin, f"/v1/admin/dead/{job}/replay"))["start"] == start
            assert (await spread.take(stage, job)).job == job


async def test_what_cannot_be_replayed(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    job = await spread.submit()
    await spread.run(job)
    assert (await post(admin, f"/v1/admin/dead/{job}/replay", status=409))["code"] == "ILLEGAL_STATE"
    unknown = spread.partitions.new_id("default")
    assert (await post(admin, f"/v1/admin/dead/{unknown}/replay", status=404))["code"] == "JOB_NOT_FOUND"
    assert (await post(admin, "/v1/admin/dead/x/replay", status=404))["code"] == "JOB_NOT_FOUND"


async def test_a_quarantine_worker_alone_gets_what_is_replayed_to_it(
    admin: aiohttp.ClientSession, spread: ScriptedWorker, redis_client: redis.asyncio.Redis, many: Partitions
) -> None:
    job = await die(spread)
    await post(admin, f"/v1/admin/dead/{job}/replay", {"worker": "lab"})
    keys = many.keys_of_job(job)
    assert await redis_client.xlen(keys.inbox("ingest", "cpu", "@lab")) == 1
    assert await redis_client.xlen(keys.inbox("ingest", "cpu", "normal")) == 0


async def test_replaying_page_by_page(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    jobs = {await die(spread, f"tenant-{number % 3}") for number in range(12)}
    replayed: list[str] = []
    cursor = None
    while True:
        page = await post(admin, "/v1/admin/dead/replay", ALL | {"limit": 5, "cursor": cursor})
        assert len(page["replays"]) <= 5
        replayed += [row["job"] for row in page["replays"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(replayed) == sorted(jobs)
    assert await every_page(admin, "") == []


async def test_a_page_that_is_asked_for_again_replays_nothing_twice(
    admin: aiohttp.ClientSession, spread: ScriptedWorker, redis_client: redis.asyncio.Redis, many: Partitions
) -> None:
    """What a client does whose gateway was restarted before it had answered; meanwhile one job has died again."""
    jobs = [await die(spread, "t") for _ in range(6)]
    newest = (await get(admin, "/v1/admin/dead/count"))["newest_at"]
    keeper = Keeper(redis_client, many, KernelOptions())
    while await keeper.server_time_ms() <= datetime.fromisoformat(newest).timestamp() * 1000:
        pass  # who dies again, does so in a later millisecond
    asked = {"filter": {"until": newest}, "limit": 3}
    first = await post(admin, "/v1/admin/dead/replay", asked)
    assert [row["job"] for row in first["replays"]] == jobs[:2:-1]
    again = await spread.take("ingest", jobs[3])
    await spread.fail(again)
    assert await every_page(admin, "") == [again.job, *jobs[2::-1]]
    second = await post(admin, "/v1/admin/dead/replay", asked)
    assert [row["job"] for row in second["replays"]] == jobs[2::-1]
    assert second["next"] is None
    for job in jobs:
        log = await read_log(redis_client, many, job)
        assert [entry.type for entry in log].count("job.replayed") == 1


async def test_the_rate_is_kept(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    for _ in range(5):
        await die(spread)
    began_s = asyncio.get_running_loop().time()
    page = await post(admin, "/v1/admin/dead/replay", ALL | {"rate": 10})
    assert len(page["replays"]) == 5
    assert asyncio.get_running_loop().time() - began_s >= 0.4, "four pauses of a tenth of a second"


async def test_a_slow_page_ends_early(
    admin: aiohttp.ClientSession, spread: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.kernel.replay.LONGEST_PAGE_S", 0.25)
    jobs = [await die(spread) for _ in range(5)]
    first = await post(admin, "/v1/admin/dead/replay", ALL | {"rate": 10})
    assert 1 <= len(first["replays"]) < 5
    rest = await post(admin, "/v1/admin/dead/replay", ALL | {"cursor": first["next"]})
    assert {row["job"] for row in (*first["replays"], *rest["replays"])} == set(jobs)


async def test_purging(
    admin: aiohttp.ClientSession, spread: ScriptedWorker, redis_client: redis.asyncio.Redis, many: Partitions
) -> None:
    jobs = [await die(spread, "t") for _ in range(4)]
    alive = await spread.submit("t")
    assert (await post(admin, "/v1/admin/dead/purge", {"jobs": [jobs[0], alive]}))["purged"] == [jobs[0]]
    detail = await get(admin, f"/v1/admin/dead/{jobs[1]}")
    page = await post(admin, "/v1/admin/dead/purge", {"filter": {"until": detail["died_at"]}})
    assert set(page["purged"]) >= {jobs[0], jobs[1]}
    assert page["next"] is None
    keeper, partition = Keeper(redis_client, many, KernelOptions()), many.of_tenant("t")
    due = (await keeper.expire(partition)).retained
    assert set(due) == set(page["purged"]), "the reaper sweeps their files now, and then forgets them"
    await keeper.retention(partition, due)
    assert set(await every_page(admin, "")) == set(jobs) - set(due)
    for job in due:
        assert (await get(admin, f"/v1/admin/dead/{job}", 404))["code"] == "DEAD_LETTER_NOT_FOUND"
