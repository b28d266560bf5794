"""What holds for every request: keys, problem documents, logs, and what a full Redis or disk means."""

from typing import Any

import aiohttp
import pytest
import redis.asyncio

from gateway.http.service import GatewayService
from tests.gateway.conftest import KEY, StartGateway, client_of
from tests.gateway.submitting import REQUEST, post


async def test_full_redis_refuses_new_jobs_and_keeps_the_rest(
    own_redis_server: Any, own_redis_client: redis.asyncio.Redis, start_gateway: StartGateway
) -> None:
    gateway = await start_gateway(redis__url=own_redis_server.url)
    async with client_of(gateway) as api:
        job, _ = await post(api, REQUEST)
        await own_redis_client.config_set("maxmemory", "1mb")
        problem, response = await post(api, REQUEST, 503)
        assert problem["code"] == "STORE_FULL"
        assert int(response.headers["Retry-After"]) > 0
        async with api.post(f"/v1/jobs/{job['id']}/cancel") as response:
            assert response.status == 200


async def test_a_full_disk_refuses_new_work(start_gateway: StartGateway) -> None:
    async with client_of(await start_gateway(storage__min_free_bytes=1 << 60)) as api:
        problem, _ = await post(api, REQUEST, 507)
        assert problem["code"] == "DISK_FULL"
        async with api.post("/v1/uploads", data=b"abc") as response:
            assert (response.status, (await response.json())["code"]) == (507, "DISK_FULL")


async def test_the_key_is_needed(gateway: GatewayService) -> None:
    wrong = [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", "Bearer \udcff"]
    async with aiohttp.ClientSession(gateway.url) as anybody:
        for authorization in wrong:
            headers = {"Authorization": authorization} if authorization is not None else {}
            for path in ("/v1/jobs", "/v1/jobs/x/events", "/metrics"):
                async with anybody.get(path, headers=headers) as response:
                    assert response.status == 401, (authorization, path)
                    assert response.headers["WWW-Authenticate"].startswith("Bearer")
                    assert (await response.json())["code"] == "UNAUTHORIZED"
        for path in ("/livez", "/readyz"):
            async with anybody.get(path) as response:
                assert response.status == 200
        async with anybody.get("/metrics", headers={"Authorization": f"bearer {KEY}"}) as response:
            text = await response.text()
            assert 'reelway_gateway_requests_total{method="GET",route="/v1/jobs",status="401"}' in text


async def test_problems_of_the_server_itself(
    gateway: GatewayService, api: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api.get("/nothing/here") as response:
        assert (response.status, (await response.json())["code"]) == (404, "ROUTE_NOT_FOUND")
    async with api.patch("/v1/jobs") as response:
        assert (response.status, (await response.json())["code"]) == (405, "METHOD_NOT_ALLOWED")
        assert response.headers["Allow"] == "GET,HEAD,POST"

    async def broken(_job: str) -> None:
        raise RuntimeError("secret internals")

    monkeypatch.setattr(gateway.context.reader, "read", broken)
    async with api.get("/v1/jobs/j00-x", headers={"X-Request-Id": "my-own-id-1"}) as response:
        problem = await response.json()
        assert (response.status, problem["code"], problem["request_id"]) == (500, "INTERNAL", "my-own-id-1")
        assert "secret" not in str(problem)


async def test_logs_hold_neither_keys_nor_queries(
    api: aiohttp.ClientSession, capsys: pytest.CaptureFixture[str]
) -> None:
    async with api.post("/v1/uploads?name=my-private-name.mp4", data=b"abc") as response:
        assert response.status == 201
    async with api.get("/v1/jobs?limit=3"):
        pass
    captured = capsys.readouterr()
    logged = captured.out + captured.err
    assert "/v1/uploads" in logged
    assert "my-private-name" not in logged
    assert KEY not in logged
    assert "limit=3" not in logged
