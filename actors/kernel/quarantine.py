"""Jobs that a script could not read. Their data is kept aside for an operator; nothing runs them again."""

from contextlib import aclosing

import msgspec
import redis.asyncio

from actors.kernel.keys import Partitions, UnknownJobId
from actors.kernel.newest import PAGE, Place, newest_first
from actors.kernel.scripts import text

SHOWN = 500
"""Characters of one value that are shown; bodies may be 64 KiB."""


class Quarantined(msgspec.Struct, frozen=True):
    """One job that was put aside."""

    job: str
    at_ms: int
    why: str
    """What was wrong with its data."""
    type: str
    """What Redis holds in its place: hash, string, …; `none` once it is no longer kept."""
    fields: dict[str, str]
    """Of a hash, all of it, long values cut; of anything else nothing."""


async def list_quarantined(
    client: redis.asyncio.Redis, partitions: Partitions, *, before: str | None = None, limit: int = PAGE
) -> tuple[list[Quarantined], str | None]:
    """One page, newest first, and the cursor of the next (None: the last one). A malformed cursor raises ValueError."""
    roots = [partitions.keys(partition).root for partition in partitions]
    place = None if before is None else Place.parse(before)
    found: list[Quarantined] = []
    async with aclosing(newest_first(client, [f"{root}quarantine" for root in roots], before=place)) as rows:
        async for row in rows:
            if len(found) == limit:
                return found, str(place)
            found.append(await _read(client, partitions, row))
            place = row
    return found, None


async def _read(client: redis.asyncio.Redis, partitions: Partitions, row: Place) -> Quarantined:
    try:
        root = partitions.keys_of_job(row.member).root
    except UnknownJobId:
        return Quarantined(row.member, row.at_ms, "not an id of a job", "none", {})
    key = f"{root}quarantined:{row.member}"
    why = await client.get(f"{root}quarantined:why:{row.member}") or b""
    kind = text(await client.type(key))
    fields = await client.hgetall(key) if kind == "hash" else {}
    shown = {_shown(name): _shown(value) for name, value in fields.items()}
    return Quarantined(row.member, row.at_ms, _shown(why), kind, shown)


def _shown(value: bytes | str) -> str:
    readable = value.decode(errors="replace") if isinstance(value, bytes) else value
    return readable if len(readable) <= SHOWN else readable[:SHOWN] + "…"
