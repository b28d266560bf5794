"""A gateway as a process: how fast it starts and ends, what its clients hear, and what it costs to be slow."""

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from gateway.http.service import GatewayService
from gateway.streams.connection import Bounds
from tests.gateway.conftest import KEY, MakeSettings, OpenStream
from tests.gateway.narrow import narrow
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import STAGES, ScriptedWorker
from tests.gateway.sse_client import SseClient

ROOT = Path(__file__).parents[2]
STREAMS = 300


@asynccontextmanager
async def gateway_process(tmp_path: Path, redis_url: str, port: int = 0) -> AsyncIterator[tuple[Process, int]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")} | {
        "REELWAY_REDIS_URL": redis_url,
        "REELWAY_PARTITIONS": "1",
        "REELWAY_DATA_DIR": str(tmp_path),
        "REELWAY_GATEWAY_KEY": KEY,
        "REELWAY_GATEWAY_PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    log = (tmp_path / "gateway.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.gateway.gateway_process", stdout=PIPE, stderr=log, env=environment
    )
    log.close()
    try:
        while "port" not in (facts := await said(process)):
            pass
        await said(process)
        yield process, facts["port"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: Process) -> dict[str, Any]:
    """The next line of JSON; log lines on the same output are skipped."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while not (line := await process.stdout.readline()).startswith(b"{"):
            assert line, "the gateway has ended"
    facts: dict[str, Any] = json.loads(line)
    return facts


async def test_sigterm_with_many_streams(
    tmp_path: Path, redis_url: str, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    job = await worker.submit()
    async with gateway_process(tmp_path, redis_url) as (process, port):
        streams = [await SseClient.open(port, job, KEY) for _ in range(STREAMS)]
        for stream in streams:
            await stream.until("snapshot")
        began_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        last = [(await stream.rest())[-1] for stream in streams]
        await process.wait()
        assert time.monotonic() - began_s < 8
        assert process.returncode == 0
    assert {frame.event for frame in last} == {"reconnect"}
    assert {frame.data["reason"] for frame in last} == {"draining"}
    retries = [frame.retry or 0 for frame in last]
    assert max(retries) - min(retries) > 20 * STREAMS * 0.8, "reconnects are spread"
    # They come back to a new process on the same port, with their cursors, and miss nothing.
    grant = await worker.take("ingest")
    async with gateway_process(tmp_path, redis_url, port) as (_, port):
        again = [await SseClient.open(port, job, KEY, stream.cursor) for stream in streams[:50]]
        for stream in again:
            assert (await stream.until("job.started")).rev == 2
        await worker.fail(grant)
        for stream in again:
            assert [frame.event for frame in await stream.rest()] == ["job.failed", "end"]
    for stream in streams + again:
        stream.abort()


async def test_a_killed_gateway_loses_nothing(tmp_path: Path, redis_url: str, worker: ScriptedWorker) -> None:
    job = await worker.submit()
    async with gateway_process(tmp_path, redis_url) as (process, port):
        stream = await SseClient.open(port, job, KEY)
        await stream.until("snapshot")
        process.kill()
        await process.wait()
        stream.abort()
    await worker.run(job)
    async with gateway_process(tmp_path, redis_url, port) as (_, port):
        again = await SseClient.open(port, job, KEY, stream.cursor)
        frames = await again.rest()
    assert frames[1].rev == 2
    assert [frame.event for frame in frames[-2:]] == ["job.completed", "end"]


async def test_an_idle_gateway_ends_at_once(tmp_path: Path, redis_url: str) -> None:
    async with gateway_process(tmp_path, redis_url) as (process, port):
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/readyz") as response:
            assert response.status == 200
            process.send_signal(signal.SIGTERM)
            stopped = await said(process)
        await process.wait()
    assert stopped["stopped_after_s"] < 0.5


async def test_a_reader_that_stalls_is_bounded_and_given_up(
    make_settings: MakeSettings, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = GatewayService(make_settings())
    bounds = Bounds(soft_bytes=8192, hard_bytes=32768, drained_bytes=2048, stall_s=1.0)
    gateway.context = dataclasses.replace(gateway.context, bounds=bounds)
    await gateway.start()
    await gateway.ready()
    try:
        job = await worker.submit()
        healthy = await open_stream(gateway, job)
        stalled = await open_stream(gateway, job, receive_buffer_bytes=2048)
        await healthy.until("snapshot")
        served = list(gateway.context.streams._open)[1]
        transport = narrow(served)
        grant = await worker.take("ingest")
        most = number = 0
        while not served.gone:
            number += 1
            await worker.beat(grant, min(99.0, number / 500), eta_s=float(number))
            most = max(most, transport.get_write_buffer_size())
            assert number < 100_000
        assert 0 < most <= bounds.hard_bytes
        await eventually(lambda: served not in gateway.context.streams._open)
        assert gateway.context.metrics.slow_disconnects._value.get() == 1
        await worker.submitter.cancel(job, "test")
        await worker.next(grant, "fetch")
        assert [frame.event for frame in await healthy.rest()][-2:] == ["job.cancelled", "end"]
        stalled.abort()
    finally:
        await gateway.stop()


async def test_a_reader_that_stalls_does_not_hold_up_the_end(
    make_settings: MakeSettings, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    gateway = GatewayService(make_settings(gateway__shutdown_s=2.0))
    bounds = Bounds(soft_bytes=4096, hard_bytes=16384, drained_bytes=1024, stall_s=60.0, farewell_s=0.2)
    gateway.context = dataclasses.replace(gateway.context, bounds=bounds)
    await gateway.start()
    await gateway.ready()
    job = await worker.submit()
    await open_stream(gateway, job, receive_buffer_bytes=2048)
    served = next(iter(gateway.context.streams._open))
    narrow(served)
    grant = await worker.take("ingest")
    number = 0
    while not served.behind:
        number += 1
        await worker.beat(grant, min(99.0, number / 500))
    began_s = time.monotonic()
    await gateway.stop()
    assert time.monotonic() - began_s < 1.0


async def test_a_slow_reader_gets_every_durable_event_and_the_newest_progress(
    make_settings: MakeSettings, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    """It reads again before it is given up: progress was conflated, events were not; a large snapshot is no fault."""
    gateway = GatewayService(make_settings())
    bounds = Bounds(soft_bytes=4096, hard_bytes=16384, drained_bytes=1024, stall_s=30.0)
    gateway.context = dataclasses.replace(gateway.context, bounds=bounds)
    await gateway.start()
    await gateway.ready()
    try:
        spec = {"source": "https://a.example/x", "format": "mp3", "tags": ["x" * 1000] * 60}
        job = await worker.submit(spec=json.dumps(spec).encode())
        stream = await open_stream(gateway, job, receive_buffer_bytes=2048)
        served = next(iter(gateway.context.streams._open))
        narrow(served)
        number = 0
        grant = await worker.take(STAGES[0])
        for place, stage in enumerate(STAGES):
            grant = grant if place == 0 else await worker.take(stage)
            while number < 700 * (place + 1):
                number += 1
                await worker.beat(grant, 25 * place + (number - 700 * place) / 30, eta_s=float(number))
            if place < 3:
                await worker.next(grant, STAGES[place + 1])
        assert served.behind
        assert not served.gone
        await worker.done(grant)
        frames = await stream.rest()
        durable = [frame.event for frame in frames if frame.id is not None and frame.event]
        assert durable == [
            "snapshot", "job.started", *["job.stage", "job.started"] * 3, "job.completed",
        ]  # fmt: skip
        assert frames[-1].event == "end"
        assert sum(frame.event == "job.progress" for frame in frames) < number / 2
        assert gateway.context.metrics.slow_disconnects._value.get() == 0
    finally:
        await gateway.stop()


def test_streams_leave_room_for_other_files() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (600, 700));"
        "from gateway.http.limits import most_streams; print(most_streams(10_000), most_streams(50))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "200 50"
