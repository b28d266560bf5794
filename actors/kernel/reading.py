"""Reading several streams with one call, as they were written."""

from collections.abc import Mapping
from typing import Any

import redis.asyncio

Entry = tuple[bytes, list[bytes]]
"""Id, and the names and values of the fields in turn. (On the wire a list; nobody changes it.)"""


async def read_streams(
    client: redis.asyncio.Redis, places: Mapping[str, str], *, count: int, block_ms: int
) -> dict[str, list[Entry]]:
    """What follows these ids in these streams: at most `count` of each; nothing when nothing came in `block_ms`.

    `client` is one of `connect`: that of another hand would make a dict of each entry.
    """
    reply: Any = await client.execute_command(  # type: ignore[no-untyped-call]
        "XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", *places, *places.values()
    )
    return {name.decode(): entries for name, entries in reply or ()}
