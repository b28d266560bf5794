"""`POST /v1/jobs/{job}/retry` and `DELETE /v1/jobs/{job}`: which jobs, how often, and what is left."""

from pathlib import Path

import aiohttp
import pytest

from actors.media.task import JobSpec, Manifest, encode
from actors.storage.local import LocalStorage
from gateway.http.service import GatewayService
from tests.gateway.conftest import OpenStream, StartGateway, client_of
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.submitting import REQUEST, post


async def end(api: aiohttp.ClientSession, worker: ScriptedWorker, state: str) -> str:
    """A job in that state."""
    job, _ = await post(api, REQUEST)
    name: str = job["id"]
    if state == "completed":
        await worker.run(name)
    elif state == "failed":
        await worker.fail(await worker.take("ingest"))
    elif state == "cancelled":
        async with api.post(f"/v1/jobs/{name}/cancel") as response:
            assert response.status == 200
    elif state == "expired":
        await worker.client.zadd(worker.partitions.keys("00").deadlines, {name: 1})
        await worker.expire()
    elif state == "running":
        await worker.take("ingest")
    async with api.get(f"/v1/jobs/{name}") as response:
        assert (await response.json())["state"] == state
    return name


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired"])
async def test_a_job_without_success_begins_again(
    api: aiohttp.ClientSession, worker: ScriptedWorker, state: str
) -> None:
    job = await end(api, worker, state)
    async with api.get(f"/v1/jobs/{job}") as response:
        assert (await response.json())["links"]["retry"] == f"/v1/jobs/{job}/retry"
    for _ in range(2):
        async with api.post(f"/v1/jobs/{job}/retry") as response:
            document = await response.json()
            assert (response.status, document["id"], document["state"]) == (202, job, "queued")
            assert (document["error"], document["links"]["retry"]) == (None, None)
            assert response.headers["ETag"]
    await worker.run(job)
    async with api.post(f"/v1/jobs/{job}/retry") as response:
        problem = await response.json()
        assert (response.status, problem["code"]) == (409, "ILLEGAL_STATE")
        assert "completed" in problem["detail"]


async def test_a_job_that_is_being_cancelled_is_not_retried_yet(
    api: aiohttp.ClientSession, worker: ScriptedWorker
) -> None:
    """A 202 would promise that it goes on."""
    job, _ = await post(api, REQUEST)
    grant = await worker.take("ingest")
    async with api.post(f"/v1/jobs/{job['id']}/cancel") as response:
        assert response.status == 202
    async with api.post(f"/v1/jobs/{job['id']}/retry") as response:
        assert (response.status, (await response.json())["code"]) == (409, "ILLEGAL_STATE")
    assert await worker.next(grant, "fetch") == "CANCELLED"
    async with api.post(f"/v1/jobs/{job['id']}/retry") as response:
        assert response.status == 202


async def test_a_full_disk_takes_no_retry(start_gateway: StartGateway, worker: ScriptedWorker) -> None:
    async with client_of(await start_gateway()) as api:
        job = await end(api, worker, "failed")
    full = await start_gateway(storage__min_free_bytes=1 << 60)
    async with client_of(full) as api, api.post(f"/v1/jobs/{job}/retry") as response:
        assert (response.status, (await response.json())["code"]) == (507, "DISK_FULL")


async def test_other_tenants_jobs_and_unknown_ones(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    theirs = await worker.submit(tenant="other")
    await worker.submitter.cancel(theirs, "them")
    for job in (theirs, "j00-01jd0000000000000000000000", "nonsense", "j77-x"):
        async with api.post(f"/v1/jobs/{job}/retry") as response:
            assert (response.status, (await response.json())["code"]) == (404, "JOB_NOT_FOUND")
    async with api.delete(f"/v1/jobs/{theirs}") as response:
        assert response.status == 204
    assert (await worker.submitter.cancel(theirs, "them")).state == "cancelled", "nothing happened to it"
    async with api.delete("/v1/jobs/nonsense") as response:
        assert response.status == 404


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled", "expired"])
async def test_a_deleted_job_is_gone_for_every_reader(
    gateway: GatewayService,
    api: aiohttp.ClientSession,
    worker: ScriptedWorker,
    open_stream: OpenStream,
    tmp_path: Path,
    state: str,
) -> None:
    job = await end(api, worker, state)
    other, _ = await post(api, REQUEST)
    # What it published is still in the storage, for the reaper to sweep.
    storage = LocalStorage(tmp_path / "storage")
    view = (await gateway.context.reader.read(job)).view
    assert view is not None
    manifest = Manifest(
        job=job,
        tenant="default",
        spec=JobSpec(source="https://media.example/clip.mp4", format="mp3"),
        outputs=(),
        created_at="2026-01-01T00:00:00Z",  # type: ignore[arg-type]
    )
    await storage.write_atomic(f"out/{job}/{view.fence or '1.a'}/manifest.json", encode(manifest))
    for _ in range(2):
        async with api.delete(f"/v1/jobs/{job}") as response:
            assert (response.status, await response.read()) == (204, b"")
    for path in ("", "/events", "/outputs", "/outputs/clip.mp3"):
        async with api.get(f"/v1/jobs/{job}{path}") as response:
            assert (response.status, (await response.json())["code"]) == (404, "JOB_NOT_FOUND"), path
    for path in ("cancel", "retry"):
        async with api.post(f"/v1/jobs/{job}/{path}") as response:
            assert response.status == 404, path
    async with api.get("/v1/jobs") as response:
        assert [row["id"] for row in (await response.json())["jobs"]] == [other["id"]]
    stream = await open_stream(gateway, job)
    assert stream.status == 404
    async with api.get("/v1/admin/dead") as response:
        assert (await response.json())["dead"] == []


async def test_a_stream_of_a_deleted_job_is_not_resumed_from_memory(
    gateway: GatewayService, api: aiohttp.ClientSession, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    """The gateway still has its events, for others that come back."""
    job, _ = await post(api, REQUEST)
    stream = await open_stream(gateway, job["id"])
    await worker.run(job["id"])
    seen = [frame.id for frame in await stream.rest() if frame.id is not None]
    for cursor, status in ((seen[2], 200), (seen[-1], 204)):
        assert (await open_stream(gateway, job["id"], cursor)).status == status
    async with api.delete(f"/v1/jobs/{job['id']}") as response:
        assert response.status == 204
    for cursor in (seen[2], seen[-1]):
        assert (await open_stream(gateway, job["id"], cursor)).status == 404


@pytest.mark.parametrize("state", ["queued", "running"])
async def test_an_unfinished_job_is_not_deleted(api: aiohttp.ClientSession, worker: ScriptedWorker, state: str) -> None:
    job = await end(api, worker, state)
    for _ in range(2):
        async with api.delete(f"/v1/jobs/{job}") as response:
            problem = await response.json()
            assert (response.status, problem["code"]) == (409, "ILLEGAL_STATE")
            assert state in problem["detail"]
            assert "Cancel" in problem["suggestion"]
    async with api.get(f"/v1/jobs/{job}") as response:
        assert (await response.json())["state"] == state


async def test_the_key_of_a_deleted_job_makes_no_other(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    job, _ = await post(api, REQUEST, key="k")
    await worker.run(job["id"])
    async with api.delete(f"/v1/jobs/{job['id']}") as response:
        assert response.status == 204
    problem, _ = await post(api, REQUEST, 410, key="k")
    assert problem["code"] == "JOB_GONE"
