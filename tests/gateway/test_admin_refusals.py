"""What `/v1/admin/dead` refuses, and how it says so."""

import aiohttp
import pytest

from actors.kernel.dead_letter import WHYS
from gateway.http.service import GatewayService
from tests.gateway.administering import ALL, admin, die, every_page, get, many, post, spread
from tests.gateway.conftest import KEY
from tests.gateway.scripted_worker import ScriptedWorker

__all__ = ["admin", "many", "spread"]


@pytest.mark.parametrize(
    ("query", "parameter", "hint"),
    [
        ("stage=fetsh", "stage", "Did you mean `fetch`?"),
        ("why=crash-loop", "why", "Did you mean `crash_loop`?"),
        ("why=x", "why", ", ".join(WHYS)),
        ("since=yesterday", "since", "2026-01-31T12:00:00Z"),
        ("since=0.5", "since", "2026-01-31T12:00:00Z"),
        ("until=2026-01-31T12:00:00", "until", "2026-01-31T12:00:00Z"),
        ("tennant=a", "tennant", "Did you mean `tenant`?"),
        ("limit=0", "limit", "from 1"),
        ("tenant=", "tenant", "tenant"),
    ],
)
async def test_bad_queries(admin: aiohttp.ClientSession, query: str, parameter: str, hint: str) -> None:
    problem = await get(admin, f"/v1/admin/dead?{query}", 400)
    assert problem["errors"][0]["parameter"] == parameter
    assert hint in problem["suggestion"]


@pytest.mark.parametrize("cursor", ["x", "1-", "-1"])
async def test_bad_cursors(admin: aiohttp.ClientSession, cursor: str) -> None:
    assert (await get(admin, f"/v1/admin/dead?cursor={cursor}", 400))["code"] == "INVALID_CURSOR"
    for verb in ("replay", "purge"):
        problem = await post(admin, f"/v1/admin/dead/{verb}", ALL | {"cursor": cursor}, 400)
        assert problem["code"] == "INVALID_CURSOR"


@pytest.mark.parametrize(
    ("verb", "body", "pointer", "hint"),
    [
        ("replay", {}, "/filter", "{} means all"),
        ("replay", {"filter": []}, "/filter", ""),
        ("replay", {"filter": {"stag": "fetch"}}, "/filter/stag", "Did you mean `stage`?"),
        ("replay", {"filter": {"stage": "x"}}, "/filter/stage", ""),
        ("replay", {"filter": {"stage": "fetsh"}}, "/filter/stage", "Did you mean `fetch`?"),
        ("replay", {"filter": {"stage": None}}, "/filter/stage", ""),
        ("replay", {"filter": {"since": "soon"}}, "/filter/since", ""),
        ("replay", ALL | {"rate": 0}, "/rate", ""),
        ("replay", ALL | {"rate": "fast"}, "/rate", ""),
        ("replay", ALL | {"limit": 101}, "/limit", ""),
        ("replay", ALL | {"worker": "a b"}, "/worker", ""),
        ("replay", ALL | {"worker": "@x"}, "/worker", ""),
        ("replay", ALL | {"deadline_s": 0}, "/deadline_s", ""),
        ("replay", ALL | {"deadlin_s": 5}, "/deadlin_s", "Did you mean `deadline_s`?"),
        ("purge", {}, "/filter", ""),
        ("purge", ALL | {"jobs": ["x"]}, "/filter", ""),
        ("purge", {"jobs": []}, "/jobs", ""),
        ("purge", {"jobs": "x"}, "/jobs", ""),
    ],
)
async def test_bad_bodies(
    admin: aiohttp.ClientSession, spread: ScriptedWorker, verb: str, body: object, pointer: str, hint: str
) -> None:
    job = await die(spread)
    problem = await post(admin, f"/v1/admin/dead/{verb}", body, 422)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert hint in str(problem["errors"][0])
    assert await every_page(admin, "") == [job], "nothing happened"


async def test_the_key_is_needed(gateway: GatewayService) -> None:
    async with aiohttp.ClientSession(gateway.url) as anybody:
        for path in ("dead", "dead/count", "dead/export", "dead/x", "workers", "stages", "tenants/t", "quarantine"):
            assert (await get(anybody, f"/v1/admin/{path}", 401))["code"] == "UNAUTHORIZED"
        for path in ("dead/replay", "dead/purge", "dead/x/replay", "stages/fetch/pause", "stages/fetch/resume"):
            headers = {"Authorization": f"Bearer {KEY}x"}
            async with anybody.post(f"/v1/admin/{path}", json=ALL, headers=headers) as response:
                assert response.status == 401
