"""The frame around a stream: headers, heartbeat, its bounded life, overload, and who may watch."""

import asyncio

import aiohttp
import pytest

from gateway.http.metrics import GatewayMetrics
from gateway.http.service import GatewayService
from gateway.streams.connection import Bounds, Connection
from gateway.streams.streams import LONGEST_SPREAD_MS, SHED_RETRY_MS, Streams
from gateway.streams.wake import Wake
from gateway.streams.wire import SSE
from tests.gateway.conftest import OpenStream, StartGateway
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.sse_client import StreamEnded

WHOLE = ["job.started", *["job.stage", "job.started"] * 3, "job.completed"]


async def test_headers_keep_proxies_from_buffering(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    stream = await open_stream(gateway, await worker.submit())
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-store, no-transform"
    assert stream.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in stream.headers
    assert stream.headers["x-request-id"]


async def test_http_1_0_gets_a_stream_without_chunks(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    stream = await open_stream(gateway, job, version="1.0")
    assert "transfer-encoding" not in stream.headers
    await stream.until("snapshot")
    await worker.run(job, reports=2)
    assert [frame.event for frame in await stream.rest()][-2:] == ["job.completed", "end"]


async def test_retries_are_spread(gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream) -> None:
    job = await worker.submit()
    retries = {(await (await open_stream(gateway, job)).next()).retry for _ in range(12)}
    assert len(retries) > 6


async def test_an_unknown_job_is_a_problem(gateway: GatewayService, open_stream: OpenStream) -> None:
    for job in ("j00-01m7x4bzmengq4rc0p5ef3xxer", "j99-01m7x4bzmengq4rc0p5ef3xxer", "nonsense"):
        stream = await open_stream(gateway, job)
        assert stream.status == 404
        assert stream.headers["content-type"] == "application/problem+json"


async def test_another_tenants_job_looks_like_none(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream, api: aiohttp.ClientSession
) -> None:
    job = await worker.submit(tenant="other")
    await worker.run(job)
    for path in ("", "/events", "/outputs", "/outputs/clip.mp3"):
        async with api.get(f"/v1/jobs/{job}{path}") as response:
            assert response.status == 404
            assert (await response.json())["code"] == "JOB_NOT_FOUND"
    async with api.post(f"/v1/jobs/{job}/cancel") as response:
        assert response.status == 404
    unfinished = await worker.submit(tenant="other")
    async with asyncio.timeout(2), api.get(f"/v1/jobs/{unfinished}", headers={"Prefer": "wait=20"}) as response:
        assert response.status == 404
    async with api.get("/v1/jobs") as response:
        assert (await response.json())["jobs"] == []
    own = await worker.submit()
    stream = await open_stream(gateway, own)
    epoch = str((await stream.until("snapshot")).id).split(".")[0]
    ring = gateway.context.hub.ring("00")
    # Of the one that goes on: a job that has ended is never continued from memory.
    await eventually(lambda: unfinished in ring._jobs)
    foreign = ring._jobs[unfinished][0]
    assert (await open_stream(gateway, unfinished, f"{epoch}.{foreign.entry}")).status == 404


async def test_the_heartbeat_is_a_named_event(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = await start_gateway(gateway__heartbeat_s=0.1)
    stream = await open_stream(gateway, await worker.submit())
    cursor = (await stream.until("snapshot")).id
    for _ in range(3):
        beat = await stream.until("heartbeat")
        assert beat.id is None
        assert beat.data["at"].endswith("Z")
    assert stream.cursor == cursor


async def test_a_stream_has_a_bounded_life(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = await start_gateway(gateway__stream_life_s=0.3, gateway__heartbeat_s=0.2)
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    last = (await stream.rest())[-1]
    assert last.event == "reconnect"
    assert last.data["reason"] == "lifetime"
    assert last.retry == last.data["retry_ms"]
    again = await open_stream(gateway, job, stream.cursor)
    await again.next()
    await worker.take("ingest")
    assert (await again.next()).event == "job.started"


async def test_overload_turns_away_with_200(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = await start_gateway(gateway__max_streams=1)
    job = await worker.submit()
    first = await open_stream(gateway, job)
    await first.until("snapshot")
    second = await open_stream(gateway, job)
    assert second.status == 200
    assert second.headers["content-type"].startswith("text/event-stream")
    frame = await second.next()
    assert frame.event == "reconnect"
    assert (frame.retry or 0) >= 15_000
    first.abort()
    await eventually(lambda: not len(gateway.context.streams))
    third = await open_stream(gateway, job)
    assert (await third.until("snapshot")).data["job"] == job


async def test_streams_end_when_the_gateway_drains(
    start_gateway: StartGateway, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = await start_gateway()
    job = await worker.submit()
    stream = await open_stream(gateway, job)
    await stream.until("snapshot")
    await gateway.drain()
    frame = await stream.until("reconnect")
    assert frame.data["reason"] == "draining"
    with pytest.raises(StreamEnded):
        await stream.next()
    late = await open_stream(gateway, job)
    assert late.status == 200
    assert (await late.next()).event == "reconnect"


def test_who_is_turned_away_waits_longer_unless_a_new_gateway_is_about_to_come() -> None:
    streams = Streams(1, GatewayMetrics())
    assert streams.turn_away() >= SHED_RETRY_MS + 2000
    streams.drain()
    assert streams.turn_away() <= 1000


async def test_told_moments_stay_spread_when_the_first_have_gone() -> None:
    streams = Streams(1000, GatewayMetrics())
    connections = [Connection(SSE, Bounds(), streams.outbox, Wake(), {}, life_s=60, heartbeat_s=15) for _ in range(500)]
    for connection in connections:
        streams.add(connection)
    streams.drain()
    told = []
    for connection in connections:
        told.append(streams.retry_ms())
        streams.remove(connection)
    assert max(told[-100:]) - min(told[-100:]) > LONGEST_SPREAD_MS * 0.8
