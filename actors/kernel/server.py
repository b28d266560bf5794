"""What a role asks of its server before it works: it forgets nothing by itself and belongs to this installation."""

import msgspec
import redis.asyncio
import structlog

from actors.kernel.connection import persist
from actors.kernel.keys import Partitions
from actors.kernel.scripts import text

META = "rw:{sys}:meta"
"""Hash: `partitions` and `format` of the installation. Written once, by the first role that ever starts."""
FORMAT = "1"
"""Version of keys and hashes; a role of another version refuses to start."""
OLDEST = (6, 2)
log = structlog.get_logger("kernel.server")


class UnfitServer(Exception):
    """This Redis cannot be used. The message says why and what to do."""


class ServerFacts(msgspec.Struct, frozen=True):
    """What the server said of itself."""

    version: str
    policy: str
    """maxmemory-policy."""
    primary: bool


def _version(written: str) -> tuple[int, ...]:
    return tuple(int(part) for part in written.split(".")[:2])


async def read_facts(client: redis.asyncio.Redis) -> ServerFacts:
    """Asks the server once; errors of the connection pass."""
    info = {**await client.info("server"), **await client.info("memory"), **await client.info("replication")}
    version = str(info.get("valkey_version") or info["redis_version"])
    return ServerFacts(version, str(info["maxmemory_policy"]), info["role"] == "master")


async def admit(client: redis.asyncio.Redis, partitions: Partitions) -> ServerFacts:
    """Waits for the server and refuses an unfit one. Raises UnfitServer; errors that waiting cannot cure pass."""
    facts = await persist(
        lambda: read_facts(client), unanswered=lambda error: log.warning("redis.awaited", error=str(error))
    )
    if _version(facts.version) < OLDEST:
        message = f"Redis {facts.version} is too old: 6.2 or newer is needed."
        raise UnfitServer(message)
    if facts.policy != "noeviction":
        message = (
            f"Redis evicts keys when memory is short (maxmemory-policy {facts.policy}), which loses jobs. "
            "Set maxmemory-policy to noeviction."
        )
        raise UnfitServer(message)
    await persist(lambda: _belongs(client, partitions))
    return facts


async def _belongs(client: redis.asyncio.Redis, partitions: Partitions) -> None:
    ours = {"partitions": str(partitions.count), "format": FORMAT}
    for name, value in ours.items():
        await client.hsetnx(META, name, value)
    theirs = {text(name): text(value) for name, value in (await client.hgetall(META)).items()}
    for name, value in ours.items():
        if theirs[name] != value:
            message = (
                f"This installation was set up with {name} {theirs[name]}, this role is configured with {value}. "
                f"Use the same setting in every role; it cannot change later."
            )
            raise UnfitServer(message)
