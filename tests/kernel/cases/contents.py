"""What a server holds: to the byte, or in a form that two equal runs share."""

import re
from typing import Any

import redis.asyncio

from actors.kernel import Keys
from actors.kernel.scripts import text

MOMENT = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z"
    r"|\b(?:[0-9a-f]{11}\.)?1[6-9]\d{11}(?:-\d+)?\b"
    r"|(?<= [01]00)1[6-9]\d{11}(?= )"
)
"""A time in words; milliseconds since the epoch, or an entry id made of them, with or without the feed's identity; the
order of a held job."""
REPEATABLE = ("pulse", "epoch")
"""Progress may be told twice, and the feed's identity is a time."""


async def contents(client: redis.asyncio.Redis) -> dict[str, object]:
    """Every key and everything in it. A hash is compared by its fields, since their order changes when it is read."""
    found: dict[str, object] = {}
    async for key in client.scan_iter(count=1000):
        is_hash = text(await client.type(key)) == "hash"
        found[text(key)] = await (client.hgetall(key) if is_hash else client.dump(key))
    return found


async def normal_form(client: redis.asyncio.Redis, keys: Keys) -> dict[str, object]:
    """What the partition holds, without times and entry ids."""
    form: dict[str, object] = {}
    async for key in client.scan_iter(f"{keys.root}*", count=1000):
        name = text(key).removeprefix(keys.root)
        if name not in REPEATABLE:
            form[name] = await _normal(client, text(key))
    return form


async def _normal(client: redis.asyncio.Redis, key: str) -> object:
    match text(await client.type(key)):
        case "hash":
            return _fields(await client.hgetall(key))
        case "list":
            return [_timeless(value) for value in await client.lrange(key, 0, -1)]
        case "set":
            return sorted(_timeless(member) for member in await client.smembers(key))
        case "zset":
            return sorted(_timeless(member) for member in await client.zrange(key, 0, -1))
        case "stream":
            entries: Any = await client.xrange(key)
            pending = {text(group["name"]): group["pending"] for group in await client.xinfo_groups(key)}
            return [_fields(fields) for _, fields in entries], pending
        case _:
            return _timeless(await client.get(key))


def _fields(fields: dict[Any, Any]) -> dict[str, str]:
    return {text(name): _timeless(value) for name, value in fields.items()}


def _timeless(value: Any) -> str:
    return MOMENT.sub("T", text(value))
