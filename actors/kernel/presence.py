"""Who works here now: every worker announces itself, and who is silent is forgotten.

Wire format. Each worker calls `lua/sys/announce.lua` every ANNOUNCE_S seconds with its name (the consumer name under
which it takes), the life of its row, LIFE_S, in ms, and one JSON object:

    {"stage": "transcode", "lane": "gpu", "slots": 2, "running": 1, "host": "node-7", "pid": 4711, "version": "0.1.0",
     "uptime_ms": 61000, "life_ms": 30000, "quarantine": "", "draining": false}

It ends with `lua/sys/withdraw.lua` and its name. Times in rows are the server's: a row ends LIFE_S after it was last
announced, so `seen_at_ms` is that end less `life_ms`, and `started_at_ms` is `uptime_ms`, by the worker's monotonic
clock, before that. Unknown fields are ignored, so that workers of two versions can be listed side by side.
"""

import asyncio
import contextlib
import os
import socket
import time
from typing import Protocol

import msgspec
import redis.asyncio
import structlog
from redis.exceptions import RedisError

from actors.kernel.connection import connect
from actors.kernel.ending import end_tasks
from actors.kernel.options import RedisOptions
from actors.kernel.scripts import text
from actors.kernel.system_scripts import SYSTEM, SystemScripts

ANNOUNCE_S = 5.0
"""Pause between two announcements of one worker."""
LIFE_S = 30.0
"""A worker that was not heard of for so long is listed no more."""
KEYS = (f"{SYSTEM}workers", f"{SYSTEM}present")
_PAGE = 100
_LEAVE_S = 1.0
log = structlog.get_logger("kernel.presence")


class WorkerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One worker: a process that takes work of one stage and lane."""

    name: str
    """Consumer name; the `owner` of the jobs it holds."""
    stage: str
    lane: str
    slots: int
    """Jobs it runs at once."""
    running: int
    host: str
    pid: int
    version: str
    started_at_ms: int
    """Server time."""
    seen_at_ms: int
    """Server time of its last announcement."""
    quarantine: str = ""
    """Name under which jobs are replayed to this worker alone; it takes nothing else. Empty for all others."""
    draining: bool = False
    """It takes nothing new."""


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself, see the module."""

    stage: str
    lane: str
    slots: int
    running: int
    host: str
    pid: int
    version: str
    uptime_ms: int
    life_ms: int
    quarantine: str = ""
    draining: bool = False


class Present(Protocol):
    """What is read of a worker each time it is announced. An Actor is one."""

    @property
    def worker_name(self) -> str: ...
    @property
    def name(self) -> str:
        """The stage."""

    @property
    def lane(self) -> str: ...
    @property
    def slots(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def quarantine(self) -> str: ...
    @property
    def draining(self) -> bool: ...


class Announcer:
    """A Service that announces one worker. It never disturbs the work: what fails is tried again at the next turn."""

    def __init__(self, redis_options: RedisOptions, worker: Present, version: str, life_s: float = LIFE_S) -> None:
        self.name = f"presence-{worker.name}"
        self._redis_options = redis_options
        self._worker = worker
        self._version = version
        self._life_ms = round(life_s * 1000)
        self._interval_s = min(ANNOUNCE_S, life_s / 4)
        self._started_s = time.monotonic()
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """The worker must have started: its name is read here."""
        self._client = connect(self._redis_options, connections=1)
        self._scripts = SystemScripts(self._client)
        self._announcing = asyncio.create_task(self._announce(), name=self.name)

    async def ready(self) -> None:
        """At once: nothing depends on being listed."""

    async def drain(self) -> None:
        self._changed.set()

    async def stop(self) -> None:
        """Takes the row away, if Redis answers soon; otherwise it goes by itself."""
        await end_tasks([self._announcing])
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._scripts.call("withdraw", KEYS, [self._worker.worker_name])
        await self._client.aclose()

    async def _announce(self) -> None:
        while True:
            try:
                await self._scripts.call("announce", KEYS, [self._worker.worker_name, self._facts(), self._life_ms])
            except (RedisError, OSError) as error:
                log.debug("presence.unannounced", worker=self._worker.worker_name, error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._interval_s)
            self._changed.clear()

    def _facts(self) -> bytes:
        worker = self._worker
        return msgspec.json.encode(
            _Row(
                stage=worker.name,
                lane=worker.lane,
                slots=worker.slots,
                running=worker.running,
                host=socket.gethostname(),
                pid=os.getpid(),
                version=self._version,
                uptime_ms=round((time.monotonic() - self._started_s) * 1000),
                life_ms=self._life_ms,
                quarantine=worker.quarantine,
                draining=worker.draining,
            )
        )


async def list_workers(client: redis.asyncio.Redis) -> list[WorkerFacts]:
    """Every worker that was heard of within LIFE_S, by stage, lane and name. Errors of the connection pass."""
    scripts = SystemScripts(client)
    workers: dict[str, WorkerFacts] = {}
    first = 0
    while True:
        rows = await scripts.call("workers", KEYS, [first])
        for name, ends, facts in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
            with contextlib.suppress(msgspec.DecodeError):
                workers[text(name)] = _read(text(name), int(float(ends)), facts)
        if len(rows) < 3 * _PAGE:
            return sorted(workers.values(), key=lambda worker: (worker.stage, worker.lane, worker.name))
        first += _PAGE


async def forget_silent(client: redis.asyncio.Redis) -> list[str]:
    """Removes rows of workers that have been silent too long; at most 100 a call. Announcements do the same."""
    return [text(name) for name in await SystemScripts(client).call("withdraw", KEYS)]


def _read(name: str, ends_ms: int, facts: bytes) -> WorkerFacts:
    row = msgspec.json.decode(facts, type=_Row)
    seen_at_ms = ends_ms - row.life_ms
    return WorkerFacts(
        name=name,
        stage=row.stage,
        lane=row.lane,
        slots=row.slots,
        running=row.running,
        host=row.host,
        pid=row.pid,
        version=row.version,
        started_at_ms=seen_at_ms - row.uptime_ms,
        seen_at_ms=seen_at_ms,
        quarantine=row.quarantine,
        draining=row.draining,
    )
