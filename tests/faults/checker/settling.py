"""Waiting for an installation to come to rest, by what it says of itself. Each wait ends and tells what is left."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

from actors.kernel import TERMINAL, RedisOptions, connect
from actors.kernel.scripts import text
from actors.reaper.collector import UNNAMED
from tests.faults.checker.reading import ask_all, scan
from tests.faults.house.house import House
from tests.faults.house.times import COLLECT_AFTER_S

LOOKS_EVERY_S = 0.2
LONG_AGO_MS = 1
"""As the end of a job's retention."""
COLLECTED_S = 4 * COLLECT_AFTER_S
NO_FENCE = "1.probe"
Left = Callable[[], Awaitable[list[str]]]


async def until_nothing_is_left(left: Left, patience_s: float) -> list[str]:
    """Looks until nothing is left, and returns what is when patience is over."""
    ends_at_s = monotonic() + patience_s
    while True:
        found = await left()
        if not found or monotonic() > ends_at_s:
            return found
        await asyncio.sleep(LOOKS_EVERY_S)


async def quiet(house: House, patience_s: float) -> list[str]:
    """Until no job is active, delayed, leased or in an inbox."""

    async def busy() -> list[str]:
        found = []
        for server in house.servers:
            inboxes = await scan(server, "rw:{p*}:in:*")
            rows = [key for name in ("leases", "due", "active") for key in await scan(server, f"rw:{{p*}}:{name}")]
            commands = [("XLEN", key) for key in inboxes] + [("ZCARD", key) for key in rows]
            sizes = await ask_all(server.client, commands)
            found += [f"{key}: {size}" for (_, key), size in zip(commands, sizes, strict=True) if size]
        return found

    return await until_nothing_is_left(busy, patience_s)


async def collected(house: House) -> list[str]:
    """Until the collector had its time: a folder that belongs to no job is made, and must go.

    What else nobody needs was unnamed before it; a walk that came to it later has ended when two more were made.
    """
    probe = _probe(house)

    async def kept() -> list[str]:
        return [str(probe)] if probe.exists() else []

    return await until_nothing_is_left(kept, COLLECTED_S) or await walked(house)


async def walked(house: House) -> list[str]:
    """Until collectors have begun and ended a walk: a folder that was made after one had come by was seen as well."""
    for _ in range(2):
        probe = _probe(house)

        async def unseen(probe: Path = probe) -> list[str]:
            return [] if (probe / UNNAMED).exists() else [str(probe)]

        left = await until_nothing_is_left(unseen, COLLECTED_S)
        await asyncio.to_thread(shutil.rmtree, probe.parent, ignore_errors=True)
        if left:
            return left
    return []


def _probe(house: House) -> Path:
    """A folder in the work area whose job does not exist."""
    probe = house.storage / "work" / house.partitions.new_id("default") / NO_FENCE
    probe.mkdir(parents=True)
    (probe / "file").touch()
    return probe


async def forget(house: House, patience_s: float) -> list[str]:
    """Makes the retention of every ended job be over, and waits until the reaper has forgotten them all."""
    client = connect(RedisOptions(url=house.url))
    try:
        for partition in house.partitions:
            keys = house.partitions.keys(partition)
            for job in map(text, await client.zrange(keys.deadlines, 0, -1)):
                if text(await client.hget(keys.job(job), "state") or b"") in TERMINAL:
                    # XX: it may have been forgotten meanwhile.
                    await client.zadd(keys.deadlines, {job: LONG_AGO_MS}, xx=True)

        async def known() -> list[str]:
            found = []
            for partition in house.partitions:
                key = house.partitions.keys(partition).deadlines
                size = await client.zcard(key)
                found += [f"{key}: {size}"] if size else []
            return found

        return await until_nothing_is_left(known, patience_s)
    finally:
        await client.aclose()
