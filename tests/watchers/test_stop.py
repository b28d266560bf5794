"""A gateway that is told to stop while a thousand clients follow jobs over it."""

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from tests.gateway.keys import KEY
from tests.gateway.scripted_worker import ScriptedWorker
from tests.watchers.frames import Frame
from tests.watchers.gateways import gateways
from tests.watchers.sse_connection import SseConnection
from tests.watchers.target import Target
from tests.watchers.ws_connection import WsConnection

STREAMS = 1000
BEGUN_WITHIN_S = 30.0
ENDS_WITHIN_S = 10.0
SPREAD_S = 10.0


@pytest.mark.heavy
async def test_a_thousand_streams_are_told_when_to_come_back(
    tmp_path: Path, redis_url: str, worker: ScriptedWorker
) -> None:
    jobs = [await worker.submit() for _ in range(50)]
    async with gateways(1, tmp_path, redis_url) as (gateway,):
        alone_s = await _slowest_read_s(gateway.url, jobs)

        async def connect(number: int) -> SseConnection | WsConnection:
            target = Target(jobs[number % 50] if number % 10 else None)
            kind = WsConnection if number % 3 == 0 else SseConnection
            return await kind.open(gateway.port, target, KEY, None)

        connections = await asyncio.gather(*map(connect, range(STREAMS)))
        begun = [asyncio.Event() for _ in connections]
        told = [asyncio.create_task(_last(*pair)) for pair in zip(connections, begun, strict=True)]
        async with asyncio.timeout(BEGUN_WITHIN_S):
            # What they begin with is read in this process, and is no part of how long a request takes.
            await asyncio.gather(*(one.wait() for one in begun))
        beside_s = await _slowest_read_s(gateway.url, jobs)
        await worker.take("ingest")
        began_s = time.monotonic()
        gateway.send(signal.SIGTERM)
        assert await gateway.wait() == 0
        took_s = time.monotonic() - began_s
        last = await asyncio.gather(*told)
        for connection in connections:
            connection.abort()
    assert beside_s <= 2 * alone_s + 0.1, "open streams do not slow requests down"
    assert took_s < ENDS_WITHIN_S
    assert {frame.event for frame, _ in last} == {"reconnect"}
    assert {frame.data["reason"] for frame, _ in last if frame.data} == {"draining"}
    assert {c.code for c in connections if isinstance(c, WsConnection)} == {4001}
    back_s = [at_s - began_s + (frame.retry_ms or 0) / 1000 for frame, at_s in last]
    seconds = Counter(int(moment_s) for moment_s in back_s)
    print(f"slowest of 100 reads: {alone_s * 1000:.0f} ms alone, {beside_s * 1000:.0f} ms beside the streams")  # noqa: T201
    print(f"ended after {took_s:.2f} s; back by second: {dict(sorted(seconds.items()))}")  # noqa: T201 - the report
    assert max(back_s) - min(back_s) >= SPREAD_S
    assert max(seconds.values()) <= STREAMS / SPREAD_S * 1.5, "no moment gets much more than its share"


async def _last(connection: SseConnection | WsConnection, begun: asyncio.Event) -> tuple[Frame, float]:
    """The last frame that was sent, and when it came."""
    last, at_s = Frame(""), 0.0
    while frames := await connection.read():
        last, at_s = frames[-1], time.monotonic()
        if any(frame.event == "snapshot" for frame in frames):
            begun.set()
    return last, at_s


async def _slowest_read_s(url: str, jobs: list[str]) -> float:
    """Of a hundred reads of jobs, one after the other."""
    longest_s = 0.0
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        for number in range(100):
            began_s = time.monotonic()
            async with client.get(f"/v1/jobs/{jobs[number % len(jobs)]}") as response:
                assert response.status == 200
                await response.read()
            longest_s = max(longest_s, time.monotonic() - began_s)
    return longest_s
