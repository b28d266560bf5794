"""Ten thousand streams whose clients all come back at once: what that costs Redis, and whether everybody is served."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from tests.gateway.keys import KEY
from tests.gateway.scripted_worker import ScriptedWorker
from tests.watchers.gateways import GatewayProcess, gateways
from tests.watchers.sse_connection import SseConnection
from tests.watchers.target import Target

STREAMS, JOBS = 10_000, 500
AT_ONCE = 200
"""Connections that are opened together at the beginning, where nothing is measured."""
REFUSED_S = 0.5


class Client:
    """Follows one job, and comes back with its cursor after what it was told to wait."""

    def __init__(self, gateway: GatewayProcess, job: str) -> None:
        self._gateway = gateway
        self._target = Target(job)
        self._connection: SseConnection | None = None
        self._cursor: str | None = None
        self.retry_ms = 0
        self.shown: list[str] = []
        """Of the present connection."""

    async def begin(self) -> None:
        """Returns when the opening was read: a snapshot, or with a cursor where that was taken up."""
        self.shown = []
        self._connection = await SseConnection.open(self._gateway.port, self._target, KEY, self._cursor)
        await self._hear("" if self._cursor is not None else "snapshot")

    async def come_back(self) -> None:
        """As often as it takes."""
        await asyncio.sleep(self.retry_ms / 1000)
        while True:
            try:
                await self.begin()
            except (OSError, TimeoutError):
                await asyncio.sleep(REFUSED_S)
            else:
                return

    async def end(self) -> None:
        """Reads on until the end of the job."""
        await self._hear("end")

    def abort(self) -> None:
        if self._connection is not None:
            self._connection.abort()

    async def _hear(self, event: str) -> None:
        assert self._connection is not None
        while True:
            for frame in await self._connection.read():
                self.shown += [frame.event] if frame.event and frame.event != "heartbeat" else []
                self._cursor = frame.id or self._cursor
                self.retry_ms = frame.retry_ms or self.retry_ms
                if frame.event == event:
                    return


@pytest.mark.heavy
async def test_ten_thousand_streams_come_back_at_once(
    tmp_path: Path, redis_url: str, redis_client: redis.asyncio.Redis, worker: ScriptedWorker
) -> None:
    """First to the gateway that has their jobs in memory, as after a network that failed; then to one that was killed
    and is new."""
    async with gateways(1, tmp_path, redis_url, GATEWAY_MAX_STREAMS=STREAMS + 100) as (gateway,):
        jobs = [await worker.submit() for _ in range(JOBS)]
        clients = [Client(gateway, jobs[number % JOBS]) for number in range(STREAMS)]
        for first in range(0, STREAMS, AT_ONCE):
            await asyncio.gather(*(client.begin() for client in clients[first : first + AT_ONCE]))
        for client in clients:
            client.abort()
        remembered = await _all_back(clients, redis_client)
        await gateway.kill()
        new = asyncio.create_task(gateway.start())
        read = await _all_back(clients, redis_client)
        await new
        for job in jobs:
            await worker.submitter.cancel(job, "test")
        await asyncio.gather(*(client.end() for client in clients))
        for client in clients:
            client.abort()
    print(f"from memory: {remembered}; from Redis: {read}")  # noqa: T201 - the report
    assert {tuple(client.shown) for client in clients} == {("job.cancelled", "end")}
    assert (remembered["hgetall"], remembered["lrange"]) == (0, 0)
    assert read["hgetall"] == read["lrange"] <= STREAMS


async def _all_back(clients: list[Client], client: redis.asyncio.Redis) -> dict[str, Any]:
    """What Redis was asked until all were served, and how long that took."""
    before, began_s = await _asked(client), time.monotonic()
    await asyncio.gather(*(one.come_back() for one in clients))
    after, took_s = await _asked(client), time.monotonic() - began_s
    return {name: after[name] - before[name] for name in before} | {"seconds": round(took_s, 1)}


async def _asked(client: redis.asyncio.Redis) -> dict[str, int]:
    told = await client.info("commandstats")
    return {name: int(told.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("hgetall", "lrange")}
