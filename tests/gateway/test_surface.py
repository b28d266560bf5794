"""What holds for every request: keys, problem documents, logs, and what a full Redis or disk means."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis.asyncio

from actors.settings_values import SettingsError
from gateway.http.authentication import installation_key
from gateway.http.service import GatewayService
from tests.gateway.conftest import KEY, MakeSettings, StartGateway, client_of
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


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /livez HTTP/9.1\r\nHost: t\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: t\r\nContent-Length: abc\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " + KEY.encode() + b"x" * 9000 + b"\r\n\r\n",
        b"GET /v1/jobs?" + KEY.encode() + b"x" * 9000 + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_answered_and_not_logged(
    gateway: GatewayService, sent: bytes, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(sent)
    async with asyncio.timeout(5):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert b" 400 " in head.partition(b"\r\n")[0]
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "BAD_REQUEST"
    captured = capsys.readouterr()
    logged = captured.out + captured.err + caplog.text
    assert "request.malformed" in logged
    assert KEY not in logged
    assert "Traceback" not in logged


async def test_compressed_bodies_are_refused(api: aiohttp.ClientSession) -> None:
    """A few kilobytes would become gigabytes, and the digest would not be of what was sent."""
    for path in ("/v1/uploads", "/v1/jobs"):
        async with api.post(path, data=gzip.compress(bytes(10_000)), headers={"Content-Encoding": "gzip"}) as response:
            assert (response.status, (await response.json())["code"]) == (415, "UNSUPPORTED_ENCODING")


@pytest.mark.parametrize("settings", [{"storage__url": "ftp://x/y"}, {"egress__allow": ("everything",)}])
def test_settings_that_cannot_be_used(make_settings: MakeSettings, settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(settings)).replace("__", ".")):
        GatewayService(make_settings(**settings))


def test_a_key_is_generated_once(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(gateway__key="")
    key = installation_key(settings)
    path = tmp_path / "gateway.key"
    assert key.startswith("rw_")
    assert len(key) > 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert installation_key(settings) == key
    assert [entry.name for entry in tmp_path.iterdir()] == ["gateway.key"]
    path.write_text("")
    with pytest.raises(SettingsError, match="empty"):
        installation_key(settings)
