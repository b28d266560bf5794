"""What streams carry is what `/openapi.json` says of them: `x-events` names the schema of every event."""

from typing import Any

import aiohttp
import pytest

from actors.kernel import Release
from gateway.http.service import GatewayService
from tests.gateway.conftest import OpenStream, StartGateway
from tests.gateway.openapi.validity import DOCUMENT, errors_of, undescribed
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.sse_client import Frame
from tests.gateway.submitting import REQUEST, post

WHOLE = {"job.queued", "job.started", "job.retrying", "job.stage", "job.completed", "job.failed", "job.cancelled"}


def events_of(path: str) -> dict[str, Any]:
    described: dict[str, Any] = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]
    return dict(described["x-events"])


def check(path: str, frames: list[Frame]) -> set[str]:
    """Every frame but the primed one is described in full. Answers the names of the events."""
    known = events_of(path)
    names = set()
    for frame in frames:
        if frame.event is not None:
            schema = known.get(frame.event) or known["job.*"]
            assert errors_of(schema, frame.data) == [], frame
            assert undescribed(schema, frame.data) == [], frame
            names.add(frame.event)
    return names


async def lead_many_lives(worker: ScriptedWorker) -> None:
    """A job that completes after a retry and a lost worker, one that fails, one that is cancelled."""
    job = await worker.submit()
    await worker.fail(await worker.take("ingest", job), permanent=False)
    partition = worker.partitions.of_job(job)
    await worker.submitter.cancel(await worker.submit(), "test")
    failed = await worker.submit()
    await worker.fail(await worker.take("ingest", failed))
    last = await worker.submit()
    grant = await worker.take("ingest", last)
    await worker.worker.release(partition, [Release(last, grant.fence, b'{"code":"RESTARTED","message":"Restarted."}')])
    await worker.run(last)


async def test_a_tenants_stream(gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream) -> None:
    stream = await open_stream(gateway, "", path="/v1/events")
    await stream.until("snapshot")
    await lead_many_lives(worker)
    await stream.until("job.completed")
    assert check("/v1/events", stream.frames) >= WHOLE | {"snapshot"}


@pytest.mark.parametrize("cursor", [None, "0x.1-0"])
async def test_a_jobs_stream(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, cursor: str | None
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job, cursor)
    await stream.until("snapshot" if cursor is None else "resync")
    grant = await worker.take("ingest", job)
    await stream.until("job.started")
    await worker.beat(grant, 12.5, eta_s=3.0, speed=1.5, bytes_done=10, bytes_total=20)
    await stream.until("job.progress")
    await worker.fail(grant)
    await stream.rest()
    names = check("/v1/jobs/{job}/events", stream.frames)
    assert names >= {"job.started", "job.progress", "job.failed", "end"}


async def test_signs_of_life_and_farewells(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = await start_gateway(gateway__heartbeat_s=0.1)
    stream = await open_stream(gateway, await worker.submit())
    await stream.until("heartbeat")
    await gateway.drain()
    await stream.until("reconnect")
    assert check("/v1/jobs/{job}/events", stream.frames) == {"snapshot", "heartbeat", "reconnect"}


async def test_the_timelines(gateway: GatewayService, api: aiohttp.ClientSession, worker: ScriptedWorker) -> None:
    await lead_many_lives(worker)
    await post(api, REQUEST | {"delay_s": 60})
    async with api.get("/v1/events?limit=500") as response:
        page = await response.json()
    schema = {"$ref": "#/components/schemas/EventsPage"}
    assert errors_of(schema, page) == []
    assert undescribed(schema, page) == []
    assert {event["type"] for event in page["events"]} >= WHOLE
