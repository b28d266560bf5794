"""How many ends of the only job a system has recorded as done, read from its own keys, where they say it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from actors.kernel import Partitions, RedisOptions, connect, read_job
from bench.context import OURS
from bench.server import Server

NOT_SAID = "not said"
NONE = "none"


def recorded(system: str, server: Server) -> str:
    """For a reader: `none`, how many, or which one; `not said` where the keys do not tell."""
    return _READERS[system](server) if system in _READERS else NOT_SAID


def of_start(number: int) -> str:
    """One end, that of the given start."""
    return f"1, of start {number}"


def _reelway(server: Server) -> str:
    name = next(iter(server.client.scan_iter(match="rw:{p00}:job:*")), None)
    return NONE if name is None else asyncio.run(_end_of(server.url, bytes(name).decode().rpartition(":")[2]))


async def _end_of(url: str, job: str) -> str:
    client = connect(RedisOptions(url=url))
    try:
        view = await read_job(client, Partitions(1), job)
    finally:
        await client.aclose()
    # An end is compared with the fence of the last start, so there is no other one that it can be.
    return of_start(view.takes) if view is not None and view.state == "completed" else NONE


def _bullmq(server: Server) -> str:
    """Its events say how often a job was completed; an end is compared with the token of the last start."""
    client: Any = server.client
    (events,) = client.scan_iter(match="bull:*:events")
    completed = sum(fields[b"event"] == b"completed" for _, fields in client.xrange(events))
    if completed != 1:
        return str(completed) if completed else NONE
    (job,) = client.scan_iter(match="bull:*:1")
    return of_start(int(client.hget(job, "ats")))


def _saq(server: Server) -> str:
    """Every worker counts what it has written as complete, and writes that down every few seconds."""
    workers = [server.client.get(name) for name in server.client.scan_iter(match="saq:*:worker_info:*")]
    complete = sum(int(json.loads(each)["stats"]["complete"]) for each in workers if each)
    return str(complete) if complete else NONE


_READERS: dict[str, Callable[[Server], str]] = {OURS: _reelway, "bullmq": _bullmq, "saq": _saq}
