"""Behind an nginx that compresses, buffers and ends what is idle, as it does by itself."""

import asyncio
import zlib
from pathlib import Path

import pytest

from tests.gateway.keys import KEY
from tests.gateway.scripted_worker import STAGES, ScriptedWorker
from tests.gateway.sse_client import SseClient
from tests.watchers.frames import parse
from tests.watchers.gateways import gateways
from tests.watchers.nginx import needs_nginx, nginx

pytestmark = needs_nginx
# gzip_types and gzip_min_length are not the defaults: by those nginx would let the stream alone.
COMPRESSING = "gzip on; gzip_proxied any; gzip_min_length 0; gzip_http_version 1.0; gzip_types text/event-stream;"


async def test_each_event_passes_before_the_next_one_is_made(
    tmp_path: Path, redis_url: str, worker: ScriptedWorker
) -> None:
    job = await worker.submit()
    async with gateways(1, tmp_path, redis_url) as (gateway,), nginx(tmp_path, [gateway.port], http="gzip on;") as port:
        stream = await SseClient.open(port, job, KEY)
        await stream.until("snapshot")
        for place, stage in enumerate(STAGES):
            grant = await worker.take(stage)
            assert (await stream.next()).event == "job.started"
            await worker.beat(grant, 25 * place + 5)
            assert (await stream.next()).event == "job.progress"
            await (worker.next(grant, STAGES[place + 1]) if place < 3 else worker.done(grant))
            assert (await stream.next()).event == ("job.stage" if place < 3 else "job.completed")
        assert [frame.event for frame in await stream.rest()] == ["end"]
        stream.abort()


async def test_each_event_passes_also_where_nginx_compresses_streams(
    tmp_path: Path, redis_url: str, worker: ScriptedWorker
) -> None:
    """Nobody should tell it to, and somebody will."""
    job = await worker.submit()
    async with (
        gateways(1, tmp_path, redis_url) as (gateway,),
        nginx(tmp_path, [gateway.port], http=COMPRESSING) as port,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /v1/jobs/{job}/events HTTP/1.0\r\nHost: test\r\nAuthorization: Bearer {KEY}\r\n"
            "Accept: text/event-stream\r\nAccept-Encoding: gzip\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        inflate, text = zlib.decompressobj(wbits=31), b""
        assert b"content-encoding: gzip" in head.lower()

        async def next_event() -> str:
            nonlocal text
            async with asyncio.timeout(10):
                while b"\n\n" not in text:
                    data = await reader.read(65536)
                    assert data
                    text += inflate.decompress(data)
            first, _, text = text.partition(b"\n\n")
            return parse(first.decode()).event

        assert [await next_event() for _ in range(2)] == ["", "snapshot"]
        grant = await worker.take("ingest")
        assert await next_event() == "job.started"
        for percent in (5, 10, 15):
            await worker.beat(grant, percent)
            assert await next_event() == "job.progress"
        writer.transport.abort()


@pytest.mark.heavy
async def test_an_idle_stream_outlives_the_proxys_patience(
    tmp_path: Path, redis_url: str, worker: ScriptedWorker
) -> None:
    """nginx ends what was silent for 60 s, and the gateway gives a sign of life each 15 to 20 s. Here all of it is 60
    times as fast, so that ten idle minutes are ten seconds."""
    job = await worker.submit()
    async with (
        gateways(1, tmp_path, redis_url, GATEWAY_HEARTBEAT_S=0.25) as (gateway,),
        nginx(tmp_path, [gateway.port], http="proxy_read_timeout 1s;") as port,
    ):
        stream = await SseClient.open(port, job, KEY)
        await stream.until("snapshot")
        ends_s = asyncio.get_running_loop().time() + 10
        while asyncio.get_running_loop().time() < ends_s:
            assert (await stream.next()).event == "heartbeat"
        await worker.take("ingest")
        assert (await stream.until("job.started")).rev == 2
        stream.abort()


async def test_the_proxy_would_end_a_silent_stream(tmp_path: Path, redis_url: str, worker: ScriptedWorker) -> None:
    """What the heartbeat is for."""
    job = await worker.submit()
    async with (
        gateways(1, tmp_path, redis_url, GATEWAY_HEARTBEAT_S=60) as (gateway,),
        nginx(tmp_path, [gateway.port], http="proxy_read_timeout 1s;") as port,
    ):
        stream = await SseClient.open(port, job, KEY)
        with pytest.raises(asyncio.IncompleteReadError):
            await stream.rest()
        assert stream.events() == ["snapshot"]
        stream.abort()
