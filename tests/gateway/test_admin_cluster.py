"""`/v1/admin`: stages and their pauses, workers, tenants and their limits, the quarantine."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
import redis.asyncio

from actors import inboxes
from actors.kernel import Partitions
from actors.kernel.order import Order
from actors.kernel.presence import KEYS
from actors.kernel.system_scripts import SystemScripts
from actors.run import STAGES as STAGES_THAT_RUN
from gateway.admin.stages import STAGES
from tests.gateway.conftest import StartGateway, client_of
from tests.gateway.scripted_worker import ScriptedWorker


@pytest.fixture
async def spread(redis_client: redis.asyncio.Redis) -> ScriptedWorker:
    """A worker in an installation of four partitions."""
    return ScriptedWorker(redis_client, Partitions(4))


@pytest.fixture
async def admin(start_gateway: StartGateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with client_of(await start_gateway(redis__partitions=4)) as session:
        yield session


async def ask(admin: aiohttp.ClientSession, method: str, path: str, body: object = None, status: int = 200) -> Any:
    async with admin.request(
        method, f"/v1/admin/{path}", data=b"" if body is None else msgspec.json.encode(body)
    ) as response:
        document = await response.json(content_type=None)
        assert response.status == status, document
        return document


def test_the_stages_are_those_that_run() -> None:
    assert STAGES == STAGES_THAT_RUN
    assert set(inboxes.LANES) == set(STAGES)
    read = Order(Partitions(1), "ingest", "cpu", "").inboxes("00")
    assert set(inboxes.NAMES) == {inbox.rpartition(":")[2] for inbox in read}, "what is shown is what workers read"


async def test_stages_show_what_waits(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    jobs = [await spread.submit(f"tenant-{number}", priority="high" if number else "low") for number in range(6)]
    await spread.take("ingest", jobs[3])
    document = await ask(admin, "GET", "stages")
    assert document["jobs"] == {
        "waiting": 5, "running": 1, "delayed": 0, "held": 0, "dead": 0, "quarantined": 0,
    }  # fmt: skip
    assert [stage["stage"] for stage in document["stages"]] == list(STAGES)
    ingest = document["stages"][0]
    assert (ingest["waiting"], ingest["paused"], ingest["workers"]) == (5, None, 0)
    waiting = {inbox["inbox"]: inbox["waiting"] for inbox in ingest["inboxes"]}
    assert waiting == {"again": 0, "alone": 0, "high": 4, "normal": 0, "low": 1}
    oldest_s = {inbox["inbox"]: inbox["oldest_s"] for inbox in ingest["inboxes"]}
    assert oldest_s["normal"] is None
    assert 0 <= oldest_s["high"] < 60
    assert [stage["waiting"] for stage in document["stages"][1:]] == [0, 0, 0, 0]
    transcode = document["stages"][2]
    assert {inbox["lane"] for inbox in transcode["inboxes"]} == {"cpu", "gpu"}


async def test_a_paused_stage_gives_no_work(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    job = await spread.submit("t")
    paused = await ask(admin, "POST", "stages/ingest/pause", {"reason": "disk is being changed"})
    assert (paused["stage"], paused["paused"]["reason"]) == ("ingest", "disk is being changed")
    assert await ask(admin, "POST", "stages/ingest/pause", {"reason": "again"}) != paused, "said anew"
    shown = (await ask(admin, "GET", "stages"))["stages"][0]
    assert (shown["waiting"], shown["paused"]["reason"]) == (1, "again")
    assert shown["paused"]["by"].startswith("key-")
    with pytest.raises(IndexError):
        await spread.take("ingest", job)
    for _ in range(2):
        assert await ask(admin, "POST", "stages/ingest/resume") == {"stage": "ingest", "paused": None}
    assert (await spread.take("ingest", job)).job == job


@pytest.mark.parametrize(
    ("stage", "hint"), [("transcod", "Did you mean `transcode`?"), ("x", "ingest, fetch"), ("reaper", "ingest, fetch")]
)
async def test_stages_that_do_not_exist(admin: aiohttp.ClientSession, stage: str, hint: str) -> None:
    for verb in ("pause", "resume"):
        problem = await ask(admin, "POST", f"stages/{stage}/{verb}", status=404)
        assert problem["code"] == "STAGE_NOT_FOUND"
        assert hint in problem["suggestion"]


async def test_bad_pauses(admin: aiohttp.ClientSession) -> None:
    for body, pointer in (({"reason": 5}, "/reason"), ({"why": "x"}, "/why"), ({"reason": "x" * 501}, "/reason")):
        problem = await ask(admin, "POST", "stages/fetch/pause", body, 422)
        assert problem["errors"][0]["pointer"] == pointer
    assert (await ask(admin, "GET", "stages"))["stages"][1]["paused"] is None


async def test_workers(admin: aiohttp.ClientSession, redis_client: redis.asyncio.Redis) -> None:
    assert await ask(admin, "GET", "workers") == {"workers": []}
    facts = {
        "stage": "transcode", "lane": "gpu", "slots": 2, "running": 1, "host": "node-7", "pid": 4711, "version": "1",
        "uptime_ms": 61_000, "life_ms": 30_000, "quarantine": "lab", "draining": False,
    }  # fmt: skip
    await SystemScripts(redis_client).call("announce", KEYS, ["node-7-4711-abc", msgspec.json.encode(facts), 30_000])
    (worker,) = (await ask(admin, "GET", "workers"))["workers"]
    assert (worker["name"], worker["host"], worker["pid"]) == ("node-7-4711-abc", "node-7", 4711)
    assert (worker["slots"], worker["running"], worker["quarantine"]) == (2, 1, "lab")
    assert worker["started_at"] < worker["seen_at"]
    transcode = (await ask(admin, "GET", "stages"))["stages"][2]
    assert (transcode["workers"], transcode["running"], transcode["slots"]) == (1, 1, 0), "it takes no ordinary work"


async def test_a_tenants_limit(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    shown = await ask(admin, "GET", "tenants/acme")
    assert shown == {
        "tenant": "acme", "partition": spread.partitions.of_tenant("acme"), "running": 0, "held": 0, "limit": None,
        "default_limit": 0,
    }  # fmt: skip
    assert (await ask(admin, "PUT", "tenants/acme", {"limit": 1}))["limit"] == 1
    jobs = [await spread.submit("acme") for _ in range(3)]
    grant = await spread.take("ingest", jobs[0])
    shown = await ask(admin, "GET", "tenants/acme")
    assert (shown["running"], shown["held"]) == (1, 2)
    async with admin.get(f"/v1/admin/dead/{grant.job}") as response:
        assert response.status == 404
    shown = await ask(admin, "PUT", "tenants/acme", {"limit": 3.0})
    assert (shown["limit"], shown["held"]) == (3, 0), "who has room now goes on at once"
    shown = await ask(admin, "PUT", "tenants/acme", {"limit": None})
    assert (shown["limit"], shown["default_limit"]) == (None, 0)


@pytest.mark.parametrize("body", [{}, {"limit": -1}, {"limit": "many"}, {"limit": True}, {"limit": 1, "x": 2}])
async def test_bad_limits(admin: aiohttp.ClientSession, body: object) -> None:
    problem = await ask(admin, "PUT", "tenants/acme", body, 422)
    assert problem["errors"][0]["pointer"] in ("/limit", "/x")


async def test_names_that_are_no_tenants(admin: aiohttp.ClientSession) -> None:
    for tenant in ("a%20b", "a%00b", "x" * 129):
        assert (await ask(admin, "GET", f"tenants/{tenant}", status=400))["code"] == "BAD_REQUEST"


async def test_the_quarantine(admin: aiohttp.ClientSession, spread: ScriptedWorker) -> None:
    job = await spread.submit("t")
    await spread.client.hset(spread.partitions.keys_of_job(job).job(job), "state", "odd")
    with pytest.raises(IndexError):
        await spread.take("ingest", job)
    document = await ask(admin, "GET", "quarantine")
    (row,) = document["quarantined"]
    assert (row["job"], row["type"], row["fields"]["state"], document["next"]) == (job, "hash", "odd", None)
    assert row["why"] == "no such state"
    assert (await ask(admin, "GET", "stages"))["jobs"]["quarantined"] == 1
    async with admin.get("/v1/admin/quarantine?cursor=x") as response:
        assert (await response.json())["code"] == "INVALID_CURSOR"
