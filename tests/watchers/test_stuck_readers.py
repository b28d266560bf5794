"""A thousand watchers, of whom two hundred never read: they cost a bounded memory, and the others do not notice."""

import asyncio
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from actors.kernel import Partitions, RedisOptions, connect
from gateway.streams.connection import Bounds
from tests.conftest import RedisServer
from tests.gateway.keys import KEY
from tests.watchers.gateways import GatewayProcess, gateways
from tests.watchers.producer import Producer
from tests.watchers.sse_connection import SseConnection
from tests.watchers.target import Target
from tests.watchers.ws_connection import WsConnection

BOUNDS = Bounds()
STUCK, OTHERS = 200, 800
PADDING_BYTES = 50_000
BEFORE_S = 3.0
FILLED_WITHIN_S = 30.0
MIB = 1 << 20
MOST_BYTES = STUCK * BOUNDS.hard_bytes + 16 * MIB
"""What two hundred connections may have unsent, and something for everything else that moves meanwhile."""


@pytest.mark.heavy
@pytest.mark.timeout(180)
async def test_two_hundred_of_a_thousand_never_read(tmp_path: Path, own_redis_server: RedisServer) -> None:
    client = connect(RedisOptions(url=own_redis_server.url))
    producer = Producer(client, Partitions(1), "stuck", tick_s=0.1)
    delays_s: list[float] = []
    tasks: list[asyncio.Task[None]] = []
    # A job each, so that no two of them share what they were not given.
    fat, thin = await producer.submit(STUCK, PADDING_BYTES), await producer.submit(50)
    async with gateways(1, tmp_path, own_redis_server.url) as (gateway,):
        try:
            following = (
                _follow(gateway.port, thin[number % 50], number % 4 == 0, delays_s) for number in range(OTHERS)
            )
            tasks += map(asyncio.create_task, following)
            tasks.append(asyncio.create_task(producer.run()))
            await _until(lambda: len(delays_s) > OTHERS)
            await asyncio.sleep(BEFORE_S)
            before_bytes, before = gateway.memory_bytes(), list(delays_s)
            first = await _wave(gateway, fat, STUCK)
            meanwhile = delays_s[len(before) :]
            # What the first wave cost is free again: the second finds it, and the process does not grow.
            second = await _wave(gateway, fat, 2 * STUCK)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.aclose()
    print(  # noqa: T201 - the report
        f"memory {before_bytes / MIB:.0f} MiB; {STUCK} that never read: {first.most_bytes / MIB:.0f}, all given up "
        f"after {first.took_s:.1f} s; {STUCK} more: {second.most_bytes / MIB:.0f}, after {second.took_s:.1f} s; "
        f"delay of the others before {_told(before)}, meanwhile {_told(meanwhile)}"
    )
    assert first.most_bytes - before_bytes <= MOST_BYTES
    assert second.most_bytes - first.most_bytes <= MOST_BYTES / 4
    assert min(len(before), len(meanwhile)) > OTHERS
    assert _quantile(meanwhile, 50) <= 2 * _quantile(before, 50) + 0.05
    assert _quantile(meanwhile, 99) <= 2 * _quantile(before, 99) + 0.5


@dataclass(frozen=True, slots=True)
class Wave:
    """`took_s`: from their connections until the last of them was given up."""

    most_bytes: int
    took_s: float


async def _wave(gateway: GatewayProcess, jobs: list[str], given_up: int) -> Wave:
    """One reader of each job that reads nothing; ends when that many were given up in all."""
    stuck = await asyncio.gather(*(_ask_and_read_nothing(gateway.port, job) for job in jobs))
    began_s, most_bytes = time.monotonic(), 0
    while await _given_up(gateway) < given_up:
        most_bytes = max(most_bytes, gateway.memory_bytes())
        assert time.monotonic() - began_s < FILLED_WITHIN_S + BOUNDS.stall_s
        await asyncio.sleep(0.2)
    took_s = time.monotonic() - began_s
    for connection in stuck:
        connection.abort()
    return Wave(most_bytes, took_s)


async def _ask_and_read_nothing(port: int, job: str) -> SseConnection:
    return await SseConnection.open(port, Target(job), KEY, None, receive_buffer_bytes=2048)


async def _follow(port: int, job: str, socket: bool, delays_s: list[float]) -> None:
    """Notes how long after it was made each event arrives."""
    kind = WsConnection if socket else SseConnection
    connection = await kind.open(port, Target(job), KEY, None)
    try:
        while frames := await connection.read():
            now_s = time.time()
            told = (frame.data for frame in frames if frame.event.startswith("job.") and frame.data is not None)
            delays_s += [now_s - datetime.fromisoformat(data["at"]).timestamp() for data in told]
    finally:
        connection.abort()


async def _given_up(gateway: GatewayProcess) -> int:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession() as session, session.get(f"{gateway.url}/metrics", headers=headers) as response:
        found = re.search(r"^reelway_gateway_slow_disconnects_total (\S+)", await response.text(), re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


def _quantile(delays_s: list[float], percent: int) -> float:
    return statistics.quantiles(delays_s, n=100)[percent - 1]


def _told(delays_s: list[float]) -> str:
    return f"p50 {_quantile(delays_s, 50) * 1000:.0f} ms, p99 {_quantile(delays_s, 99) * 1000:.0f} ms"
