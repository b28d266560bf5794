"""Roles in processes of their own against a real Redis: ready, working, drained, killed."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import redis.asyncio

from actors.kernel import JobView, read_job
from actors.kernel.presence import list_workers
from actors.storage.local import LocalStorage
from actors.version import installed_version
from tests.actors.fault_server import FaultServer, File, status
from tests.actors.roles import ROLES, Cluster, Roles
from tests.actors.test_fetch_handler import UPLOAD, upload
from tests.conftest import RedisServer
from tests.kernel.stages import eventually


@pytest.fixture
async def roles(redis_url: str, tmp_path: Path) -> AsyncIterator[Roles]:
    made = Roles(redis_url, tmp_path)
    yield made
    await made.stop()


@pytest.fixture
def cluster(redis_client: redis.asyncio.Redis) -> Cluster:
    return Cluster(redis_client)


def error_of(view: JobView) -> dict[str, Any]:
    error: dict[str, Any] = msgspec.json.decode(view.error or b"{}")
    return error


async def until_lines(path: Path, count: int, within_s: float = 10.0) -> list[bytes]:
    async with asyncio.timeout(within_s):
        while not path.exists() or len(path.read_bytes().splitlines()) < count:  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.02)
    return path.read_bytes().splitlines()


async def test_a_bad_address_fails_with_its_code_and_is_notified_once(
    roles: Roles, cluster: Cluster, server: FaultServer, tmp_path: Path
) -> None:
    server.routes["/gone.mp4"] = status(404)
    await roles.start(*ROLES)
    job = await cluster.submit(server.url("/gone.mp4"))
    view = await cluster.until(job, lambda view: view.terminal)
    assert view.state == "failed"
    assert error_of(view)["code"] == "NOT_FOUND"
    (line,) = await until_lines(tmp_path / "notify.log", 1)
    told = json.loads(line)
    assert told["delivery"] == f"{job}.e{view.rev}.1"
    assert (told["event"]["type"], told["event"]["job"], told["event"]["rev"]) == ("job.failed", job, view.rev)
    assert told["event"]["data"]["error"]["code"] == "NOT_FOUND"
    assert not (tmp_path / "storage" / "work" / job).exists() or not list(
        (tmp_path / "storage" / "work" / job).iterdir()
    )


async def test_a_source_reaches_transcode_with_contiguous_events(
    roles: Roles, cluster: Cluster, server: FaultServer, media_clip: bytes
) -> None:
    server.routes["/clip.mp4"] = File(media_clip)
    await roles.start(*ROLES)
    job = await cluster.submit(server.url("/clip.mp4"))
    view = await cluster.until(job, lambda view: view.stage == "transcode")
    assert 2.0 <= view.percent <= 35.0
    entries = [json.loads(entry) for entry in await cluster.client.lrange(f"rw:{{p00}}:log:{job}", 0, -1)]
    assert [entry["rev"] for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry["type"] for entry in entries] == [
        "job.queued", "job.started", "job.stage", "job.started", "job.stage",
    ]  # fmt: skip


@pytest.fixture
def media_clip(media_factory: Any) -> bytes:
    data: bytes = media_factory.clip().read_bytes()
    return data


async def test_a_killed_fetch_starts_again_elsewhere_and_leaves_the_first_folder_alone(
    roles: Roles, cluster: Cluster, server: FaultServer, media_clip: bytes, tmp_path: Path
) -> None:
    slow = File(media_clip, pause_s=0.2)
    server.routes["/clip.mp4"] = slow
    await roles.start("ingest", "reaper")
    await roles.start("reaper")
    first = await roles.start("fetch")
    job = await cluster.submit(server.url("/clip.mp4"))
    before = await cluster.until(job, lambda view: view.stage == "fetch" and view.percent > 3.0)
    first.kill()
    await first.wait()
    slow.pause_s = 0.0
    killed_at = asyncio.get_running_loop().time()
    await roles.start("fetch")
    view = await cluster.until(job, lambda view: view.stage == "transcode")
    assert asyncio.get_running_loop().time() - killed_at < 12.0
    assert view.percent >= before.percent
    entries = [json.loads(entry) for entry in await cluster.client.lrange(f"rw:{{p00}}:log:{job}", 0, -1)]
    retried = [entry for entry in entries if entry["type"] == "job.retrying"]
    assert [entry["data"]["reason"]["code"] for entry in retried] == ["WORKER_LOST"], (
        "two reapers, one end of the lease"
    )
    folders = sorted(path.name for path in (tmp_path / "storage" / "work" / job).iterdir())
    assert len(folders) == 2
    assert view.refs[0].split("/")[2] in folders


async def test_sigterm_lets_a_running_stage_finish(
    roles: Roles, cluster: Cluster, server: FaultServer, media_clip: bytes
) -> None:
    server.routes["/clip.mp4"] = File(media_clip, pause_s=0.02)
    await roles.start("ingest", "reaper")
    fetch = await roles.start("fetch")
    job = await cluster.submit(server.url("/clip.mp4"))
    await cluster.until(job, lambda view: view.stage == "fetch" and view.percent > 3.0)
    fetch.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(fetch.wait(), 20.0) == 0
    view = await read_job(cluster.client, cluster.partitions, job)
    assert view is not None
    assert (view.stage, view.takes, view.crashes, view.attempt) == ("transcode", 2, 0, 0)


async def test_what_does_not_fit_into_the_grace_is_given_back_uncharged(
    roles: Roles, cluster: Cluster, server: FaultServer, media_clip: bytes
) -> None:
    server.routes["/clip.mp4"] = File(media_clip, pause_s=5.0)
    await roles.start("ingest", "reaper")
    fetch = await roles.start("fetch", REELWAY_FETCH_DRAIN_GRACE_S="0.2")
    job = await cluster.submit(server.url("/clip.mp4"))
    await cluster.until(job, lambda view: view.stage == "fetch" and view.state == "running")
    fetch.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(fetch.wait(), 10.0) == 0
    view = await read_job(cluster.client, cluster.partitions, job)
    assert view is not None
    assert (view.stage, view.state, view.crashes, view.attempt) == ("fetch", "queued", 0, 0)
    assert view.reason is not None
    assert b"WORKER_STOPPING" in view.reason


async def test_cancel_ends_a_running_fetch_and_its_files(
    roles: Roles, cluster: Cluster, server: FaultServer, media_clip: bytes, tmp_path: Path
) -> None:
    server.routes["/clip.mp4"] = File(media_clip, pause_s=5.0)
    await roles.start(*ROLES)
    job = await cluster.submit(server.url("/clip.mp4"))
    await cluster.until(job, lambda view: view.stage == "fetch" and view.state == "running")
    reply = await cluster.submitter.cancel(job, "tester")
    assert reply.outcome == "flagged"
    view = await cluster.until(job, lambda view: view.terminal, within_s=5.0)
    assert view.state == "cancelled"
    assert not list((tmp_path / "storage" / "work" / job).iterdir())


async def test_a_throttling_site_is_waited_for_without_spending_the_budget(
    roles: Roles, cluster: Cluster, server: FaultServer, media_clip: bytes
) -> None:
    server.routes["/clip.mp4"] = status(429, {"Retry-After": "3600"})
    await roles.start(*ROLES)
    job = await cluster.submit(server.url("/clip.mp4"))
    view = await cluster.until(job, lambda view: view.state == "delayed")
    assert (view.attempt, view.stage) == (0, "fetch")
    reason = msgspec.json.decode(view.reason or b"{}")
    assert reason["code"] == "RATE_LIMITED"
    assert reason["until"]


async def test_uploads_pass_through_ingest_and_fetch(
    roles: Roles, cluster: Cluster, media_clip: bytes, tmp_path: Path
) -> None:
    await upload(LocalStorage(tmp_path / "storage"), media_clip)
    await roles.start(*ROLES)
    job = await cluster.submit(f"upload:{UPLOAD}", "mp4")
    view = await cluster.until(job, lambda view: view.stage == "transcode")
    assert 2.0 <= view.percent <= 8.0


async def test_the_log_endpoint_follows_its_setting(roles: Roles, redis_client: redis.asyncio.Redis) -> None:
    process = await roles.start("notify")
    assert await redis_client.hexists("rw:{p00}:hooks:default", "log")
    process.terminate()
    await process.wait()
    await roles.start("notify", REELWAY_NOTIFY_LOG="")
    assert not await redis_client.hexists("rw:{p00}:hooks:default", "log")


async def test_metrics_are_served_where_a_port_is_set(roles: Roles) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    await roles.start("ingest", "reaper", REELWAY_METRICS_PORT=str(port))
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/metrics") as response:
        text = await response.text()
    assert "reelway_reaper_watching" in text
    assert "reelway_stage_running" in text


async def test_roles_say_that_they_are_there_until_they_end(roles: Roles, redis_client: redis.asyncio.Redis) -> None:
    process = await roles.start("ingest", "fetch", REELWAY_KERNEL_QUARANTINE="lab")
    await eventually(lambda: is_listed(redis_client, "fetch", "ingest"))
    facts = await list_workers(redis_client)
    assert {(worker.stage, worker.lane, worker.pid, worker.quarantine, worker.slots) for worker in facts} == {
        ("fetch", "cpu", process.pid, "lab", 1), ("ingest", "cpu", process.pid, "lab", 1),
    }  # fmt: skip
    assert {worker.version for worker in facts} == {installed_version()}
    process.terminate()
    await process.wait()
    assert await list_workers(redis_client) == []


async def is_listed(client: redis.asyncio.Redis, *stages: str) -> bool:
    return {worker.stage for worker in await list_workers(client)} == set(stages)


async def test_a_stopped_redis_reaps_nobody(
    own_redis_server: RedisServer, tmp_path: Path, server: FaultServer, media_clip: bytes
) -> None:
    """Redis stands still for three leases while a stage runs: its worker is not declared dead."""
    roles = Roles(own_redis_server.url, tmp_path)
    client = redis.asyncio.Redis.from_url(own_redis_server.url)
    cluster = Cluster(client)
    server.routes["/clip.mp4"] = File(media_clip, pause_s=0.15)
    try:
        await roles.start(*ROLES)
        job = await cluster.submit(server.url("/clip.mp4"))
        await cluster.until(job, lambda view: view.stage == "fetch" and view.percent > 3.0)
        assert own_redis_server.process is not None
        own_redis_server.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(3.0)
        own_redis_server.process.send_signal(signal.SIGCONT)
        view = await cluster.until(job, lambda view: view.stage == "transcode")
        assert (view.takes, view.crashes) == (2, 0)
    finally:
        await roles.stop()
        await client.aclose()
