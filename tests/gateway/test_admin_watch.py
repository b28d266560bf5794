"""What watchers and readers see of jobs that are replayed, held, or wait for their children."""

import aiohttp
import pytest
import redis.asyncio

from actors.kernel import Child, Commit, Partitions, Spawn, read_log
from actors.kernel.scripts import text
from gateway.http.service import GatewayService
from tests.gateway.conftest import OpenStream, StartGateway
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker


async def _die(worker: ScriptedWorker) -> str:
    job = await worker.submit()
    await worker.fail(await worker.take("ingest"))
    return job


async def _replay(api: aiohttp.ClientSession, job: str) -> None:
    async with api.post(f"/v1/admin/dead/{job}/replay") as response:
        assert (await response.json())["outcome"] == "replayed"


@pytest.mark.parametrize("from_memory", [True, False])
async def test_a_watcher_comes_back_after_a_replay(
    gateway: GatewayService,
    start_gateway: StartGateway,
    api: aiohttp.ClientSession,
    worker: ScriptedWorker,
    open_stream: OpenStream,
    from_memory: bool,
) -> None:
    """A stream ends with the job. Once it was replayed, the same cursor has news again, and nothing is missing."""
    job = await _die(worker)
    stream = await open_stream(gateway, job)
    await stream.rest()
    assert stream.events() == ["snapshot", "job.failed", "end"]
    assert (await open_stream(gateway, job, stream.cursor)).status == 204
    await _replay(api, job)
    await eventually(lambda: gateway.context.pump.events >= 4)
    again = await open_stream(gateway if from_memory else await start_gateway(), job, stream.cursor)
    assert again.status == 200
    first = await again.until("job.replayed")
    assert (first.data["data"], first.rev) == ({"stage": "ingest"}, 4)
    await worker.run(job)
    await again.rest()
    assert [frame for frame in again.events() if frame != "job.progress"] == [
        "job.replayed", "job.started", *["job.stage", "job.started"] * 3, "job.completed", "end",
    ]  # fmt: skip


async def test_a_cursor_before_the_failure_continues_through_the_replay(
    gateway: GatewayService,
    start_gateway: StartGateway,
    api: aiohttp.ClientSession,
    worker: ScriptedWorker,
    redis_client: redis.asyncio.Redis,
    partitions: Partitions,
    open_stream: OpenStream,
) -> None:
    """The failure is not the end of the stream when the job has gone on since."""
    job = await _die(worker)
    await _replay(api, job)
    first = (await read_log(redis_client, partitions, job))[0]
    epoch = text(await redis_client.get(partitions.keys("00").epoch))
    stream = await open_stream(await start_gateway(), job, f"{epoch}.{first.id}")
    await stream.until("job.replayed")
    await worker.take("ingest", job)
    await stream.until("job.started")
    assert stream.events() == ["job.started", "job.failed", "job.replayed", "job.started"]


async def test_the_timeline_shows_the_replay(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    job = await _die(worker)
    await _replay(api, job)
    async with api.get(f"/v1/jobs/{job}/events") as response:
        events = (await response.json())["events"]
    assert [event["type"] for event in events] == ["job.queued", "job.started", "job.failed", "job.replayed"]
    async with api.get(f"/v1/jobs/{job}") as response:
        shown = await response.json()
    assert (shown["state"], shown["error"], shown["expires_at"]) == ("queued", None, None)


async def test_a_job_that_waits_for_its_children_says_so(api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    job = await worker.submit()
    grant = await worker.take("ingest", job)
    children = tuple(
        Child(number=number, stage="fetch", spec=b"{}", input=b"{}", listed=number == 1) for number in (1, 2)
    )
    assert (await worker.worker.spawn("00", Spawn(job, grant.fence, children))).status == "OK"
    await worker.worker.commit("00", [Commit(job, grant.fence, "split", "store", "cpu", b"{}")])
    async with api.get(f"/v1/jobs/{job}") as response:
        shown = await response.json()
    assert (shown["state"], shown["reason"]["code"]) == ("waiting", "CHILDREN_AWAITED")
    async with api.get("/v1/jobs?state=waiting") as response:
        assert [row["id"] for row in (await response.json())["jobs"]] == [job]
    async with api.get(f"/v1/jobs/{job}.1") as response:
        assert (response.status, (await response.json())["state"]) == (200, "queued")
    async with api.get(f"/v1/jobs/{job}.2") as response:
        assert response.status == 404, "an unlisted child is nobody's business"
