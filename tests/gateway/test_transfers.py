"""Bytes in and out: uploads that are whole or not at all, downloads whole or in ranges."""

import asyncio
import errno
import hashlib
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import redis.asyncio

from actors.kernel import Partitions
from actors.media.task import Codecs, JobSpec, Manifest, Result, StoredOutput, encode
from gateway.http.service import GatewayService
from gateway.uploads import receiving
from tests.gateway.conftest import KEY, StartGateway, client_of
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import STAGES, ScriptedWorker

DATA = random.Random(7).randbytes(3_000_000)
NAME = "Füße & Ähren 日本.mp3"


def uploads_of(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "storage" / "uploads").glob("*"))


async def test_an_upload(api: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with api.post("/v1/uploads?name=my%20clip.mp4", data=DATA) as response:
        assert response.status == 201
        upload = await response.json()
        assert response.headers["Location"] == f"/v1/uploads/{upload['id']}"
    assert upload["size_bytes"] == len(DATA)
    assert upload["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert upload["name"] == "my clip.mp4"
    assert "2026" < upload["expires_at"] < "2100"
    folder = tmp_path / "storage" / "uploads" / upload["id"]
    assert (folder / "data").read_bytes() == DATA
    assert sorted(path.name for path in folder.iterdir()) == ["data", "meta.json"]
    for method in ("get", "head"):
        async with getattr(api, method)(f"/v1/uploads/{upload['id']}") as response:
            assert response.status == 200
            assert method == "head" or await response.json() == upload
    async with api.post("/v1/jobs", json={"source": f"upload:{upload['id']}", "format": "mp3"}) as response:
        assert response.status == 202
    async with api.delete(f"/v1/uploads/{upload['id']}") as response:
        assert response.status == 204
    for method in ("get", "head", "delete"):
        async with getattr(api, method)(f"/v1/uploads/{upload['id']}") as response:
            assert response.status == 404
    assert uploads_of(tmp_path) == []


async def test_a_job_keeps_its_upload(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    async with api.post("/v1/uploads", data=b"abc") as response:
        upload = (await response.json())["id"]
    async with api.post("/v1/jobs", json={"source": f"upload:{upload}", "format": "mp3"}) as response:
        assert response.status == 202
    assert (await worker.take("ingest")).refs == (f"uploads/{upload}",)


async def test_a_body_of_unknown_length(api: aiohttp.ClientSession, tmp_path: Path) -> None:
    async def pieces() -> Any:
        for place in range(0, len(DATA), 70_000):
            yield DATA[place : place + 70_000]

    async with api.post("/v1/uploads", data=pieces()) as response:
        assert response.status == 201
        assert (await response.json())["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_another_tenants_and_an_expired_upload_look_like_none(api: aiohttp.ClientSession, tmp_path: Path) -> None:
    for field, value in (("tenant", "other"), ("expires_at", (datetime.now(UTC) - timedelta(seconds=1)).isoformat())):
        async with api.post("/v1/uploads", data=b"abc") as response:
            upload = (await response.json())["id"]
        path = tmp_path / "storage" / "uploads" / upload / "meta.json"
        path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | {field: value}))
        async with api.get(f"/v1/uploads/{upload}") as response:
            assert (response.status, (await response.json())["code"]) == (404, "UPLOAD_NOT_FOUND")
        async with api.post("/v1/jobs", json={"source": f"upload:{upload}", "format": "mp3"}) as response:
            assert (response.status, (await response.json())["code"]) == (422, "UPLOAD_NOT_FOUND")


@pytest.mark.parametrize("upload", ["x", "..%2f..%2fetc", "u00-01m7x4bzmengq4rc0p5ef3xxer"])
async def test_uploads_that_do_not_exist(api: aiohttp.ClientSession, upload: str) -> None:
    async with api.get(f"/v1/uploads/{upload}") as response:
        assert response.status == 404


async def test_an_empty_upload(api: aiohttp.ClientSession, tmp_path: Path) -> None:
    async def nothing() -> Any:
        return
        yield b""

    for body in (b"", nothing()):
        async with api.post("/v1/uploads", data=body) as response:
            assert (response.status, (await response.json())["code"]) == (422, "UPLOAD_EMPTY")
    assert uploads_of(tmp_path) == []


async def _upload_by_hand(port: int, head: str, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST /v1/uploads HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {KEY}\r\n{head}\r\n\r\n".encode() + body
    )
    return reader, writer


async def test_an_aborted_upload_leaves_nothing(gateway: GatewayService, tmp_path: Path) -> None:
    for head in ("Content-Length: 9000000", "Transfer-Encoding: chunked"):
        body = DATA if "Length" in head else b"%x\r\n%b\r\n" % (len(DATA), DATA)
        _, writer = await _upload_by_hand(gateway.port, head, body)
        await eventually(lambda: [path for path in uploads_of(tmp_path) if list(path.iterdir())])
        writer.transport.abort()
        await eventually(lambda: uploads_of(tmp_path) == [])


async def test_a_silent_upload_is_ended(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await start_gateway(gateway__upload_idle_s=0.2)
    reader, writer = await _upload_by_hand(gateway.port, "Content-Length: 9000000", DATA[:1000])
    async with asyncio.timeout(5):
        answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 408 " in answer
    assert uploads_of(tmp_path) == []
    writer.close()


async def test_too_large_an_upload(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = await start_gateway(gateway__upload_max_bytes=2_000_000)

    async def pieces() -> Any:
        for _ in range(40):
            yield bytes(100_000)

    async with client_of(gateway) as api, api.post("/v1/uploads", data=pieces()) as response:
        assert (response.status, (await response.json())["code"]) == (413, "UPLOAD_TOO_LARGE")
    assert uploads_of(tmp_path) == []
    # With Expect the client learns it before it has sent a byte.
    reader, writer = await _upload_by_hand(gateway.port, "Content-Length: 9000000\r\nExpect: 100-continue", b"")
    async with asyncio.timeout(5):
        assert b" 413 " in await reader.readline()
    writer.close()
    reader, writer = await _upload_by_hand(gateway.port, "Content-Length: 3\r\nExpect: 100-continue", b"")
    async with asyncio.timeout(5):
        assert b" 100 " in await reader.readline()
        writer.write(b"abc")
        assert await reader.readline() == b"\r\n"
        assert b" 201 " in await reader.readline()
    writer.close()


async def test_a_disk_that_fills_up(
    gateway: GatewayService, api: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC in the middle: a clear answer, and nothing is left."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(receiving._Draft, "write", full)
    async with api.post("/v1/uploads", data=b"abc") as response:
        assert (response.status, (await response.json())["code"]) == (507, "DISK_FULL")
    assert uploads_of(tmp_path) == []


async def publish(worker: ScriptedWorker, tmp_path: Path, data: bytes = DATA) -> tuple[str, Path]:
    """A completed job with one file, as store leaves it."""
    job = await worker.submit()
    for place, stage in enumerate(STAGES):
        grant = await worker.take(stage)
        if place < 3:
            await worker.next(grant, STAGES[place + 1])
            continue
        key = f"out/{job}/{grant.fence}"
        folder = tmp_path / "storage" / key
        folder.mkdir(parents=True)
        (folder / "output.mp3").write_bytes(data)
        output = StoredOutput(
            name=NAME, type="audio/mpeg", size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(),
            duration_s=8.0, codecs=Codecs(audio="mp3"), file="output.mp3",
        )  # fmt: skip
        spec = JobSpec(source="https://a.example/x", format="mp3")
        manifest = Manifest(job=job, tenant="default", spec=spec, outputs=(output,), created_at=datetime.now(UTC))
        (folder / "manifest.json").write_bytes(encode(manifest))
        await worker.done(grant, Result(path=key, outputs=(output,)))
    return job, tmp_path / "storage" / "out" / job


async def test_downloads(api: aiohttp.ClientSession, worker: ScriptedWorker, tmp_path: Path) -> None:
    job, _ = await publish(worker, tmp_path)
    async with api.get(f"/v1/jobs/{job}/outputs") as response:
        (output,) = (await response.json())["outputs"]
    assert output["name"] == NAME
    url = output["url"]
    async with api.get(url) as response:
        assert await response.read() == DATA
        assert response.status == 200
        headers = response.headers
    assert headers["Content-Type"] == "audio/mpeg"
    assert headers["Content-Length"] == str(len(DATA))
    assert "filename*=UTF-8''F%C3%BC%C3%9Fe" in headers["Content-Disposition"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox")
    assert headers["Cache-Control"].startswith("private")
    assert headers["Accept-Ranges"] == "bytes"
    tag = headers["ETag"]

    async def get(**sent: str) -> tuple[int, bytes, str | None]:
        async with api.get(url, headers={name.replace("_", "-"): value for name, value in sent.items()}) as response:
            return response.status, await response.read(), response.headers.get("Content-Range")

    size = len(DATA)
    assert await get(Range="bytes=100-199") == (206, DATA[100:200], f"bytes 100-199/{size}")
    assert await get(Range="bytes=-5") == (206, DATA[-5:], f"bytes {size - 5}-{size - 1}/{size}")
    assert await get(Range="bytes=2999990-") == (206, DATA[2999990:], f"bytes 2999990-{size - 1}/{size}")
    assert await get(Range="bytes=100-199", If_Range=tag) == (206, DATA[100:200], f"bytes 100-199/{size}")
    assert await get(Range="bytes=100-199", If_Range='"stale"') == (200, DATA, None)
    assert (await get(Range="bytes=0-1,5-6"))[0] == 200
    status, body, content_range = await get(Range=f"bytes={size}-")
    assert (status, content_range) == (416, f"bytes */{size}")
    assert msgspec.json.decode(body)["code"] == "RANGE_NOT_SATISFIABLE"
    assert (await get(If_None_Match=tag))[:2] == (304, b"")
    assert (await get(If_Match='"stale"'))[0] == 412
    async with api.head(url, headers={"Range": "bytes=0-9"}) as response:
        assert (response.status, response.headers["Content-Length"]) == (206, "10")
        assert await response.read() == b""


async def test_what_is_not_there(api: aiohttp.ClientSession, worker: ScriptedWorker, tmp_path: Path) -> None:
    waiting = await worker.submit()
    async with api.get(f"/v1/jobs/{waiting}/outputs") as response:
        assert (response.status, await response.json()) == (200, {"outputs": []})
    await worker.submitter.cancel(waiting, "test")
    job, folder = await publish(worker, tmp_path)
    for name in ("nothing.mp3", "manifest.json", "output.mp3", "..%2Fmanifest.json", "%00"):
        async with api.get(f"/v1/jobs/{job}/outputs/{name}") as response:
            assert (response.status, (await response.json())["code"]) == (404, "OUTPUT_NOT_FOUND")
    (path,) = folder.rglob("output.mp3")
    path.write_bytes(DATA[:-1])
    async with api.get(f"/v1/jobs/{job}/outputs/{NAME}") as response:
        assert (response.status, (await response.json())["code"]) == (500, "OUTPUT_DAMAGED")
    path.unlink()
    async with api.get(f"/v1/jobs/{job}/outputs/{NAME}") as response:
        assert (response.status, (await response.json())["code"]) == (404, "OUTPUT_NOT_FOUND")


async def test_downloads_outlive_the_job(
    api: aiohttp.ClientSession, worker: ScriptedWorker, tmp_path: Path, redis_client: redis.asyncio.Redis,
    partitions: Partitions,
) -> None:  # fmt: skip
    job, folder = await publish(worker, tmp_path)
    await redis_client.delete(partitions.keys("00").job(job), partitions.keys("00").log(job))
    async with api.get(f"/v1/jobs/{job}") as response:
        assert response.status == 404
    async with api.get(f"/v1/jobs/{job}/outputs/{NAME}", headers={"Range": "bytes=0-9"}) as response:
        assert (response.status, await response.read()) == (206, DATA[:10])
    (path,) = folder.rglob("manifest.json")
    manifest = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(manifest | {"tenant": "other"}))
    async with api.get(f"/v1/jobs/{job}/outputs/{NAME}") as response:
        assert (response.status, (await response.json())["code"]) == (404, "JOB_NOT_FOUND")


async def test_a_file_that_is_cut_short_is_never_taken_for_whole(
    api: aiohttp.ClientSession, worker: ScriptedWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    gateway: GatewayService,
) -> None:  # fmt: skip
    job, _ = await publish(worker, tmp_path)

    async def short(*_: object) -> Any:
        yield DATA[:1000]

    monkeypatch.setattr(gateway.context.storage, "open_read", short)
    with pytest.raises(aiohttp.ClientPayloadError):
        async with api.get(f"/v1/jobs/{job}/outputs/{NAME}") as response:
            await response.read()
    async with api.get("/livez") as response:
        assert response.status == 200
