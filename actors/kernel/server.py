"""What a role asks of its servers before it works: they forget nothing by themselves and belong to this installation.

On a Redis Cluster every primary is asked, for each may evict on its own.
"""

import asyncio
from typing import Any

import msgspec
import redis.asyncio
import structlog
from redis.exceptions import AskError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from actors.kernel.connection import StoreFull, is_refused, jittered, persist
from actors.kernel.keys import Partitions
from actors.kernel.routed import RoutedClient, slot_of_key
from actors.kernel.scripts import text

META = "rw:{sys}:meta"
"""Hash: `partitions` and `format` of the installation. Written once, by the first role that ever starts."""
FORMAT = "1"
"""Version of keys and hashes; a role of another version refuses to start."""
OLDEST = (6, 2)
OTHER_ADDRESS = {
    "cluster": "is a node of a Redis Cluster. Use redis+cluster:// in the address.",
    "sentinel": "is a Sentinel. Use redis+sentinel://host:port/name in the address.",
}
FULL_PAUSE_S = 1.0
log = structlog.get_logger("kernel.server")


class UnfitServer(Exception):
    """This Redis cannot be used. The message says why and what to do."""


class ServerFacts(msgspec.Struct, frozen=True):
    """What a server said of itself."""

    version: str
    policy: str
    """maxmemory-policy."""
    primary: bool
    mode: str
    """standalone, cluster or sentinel."""


class Moment(msgspec.Struct, frozen=True):
    """Who serves a key, and what its clock shows."""

    primary: str
    """Run id: changes with every start of a server."""
    server_ms: int


def _version(written: str) -> tuple[int, ...]:
    return tuple(int(part) for part in written.split(".")[:2])


async def read_facts(client: redis.asyncio.Redis) -> ServerFacts:
    """Asks one server once; errors of the connection pass."""
    info: dict[str, Any] = await client.info("server")
    mode = str(info.get("redis_mode") or info.get("server_mode") or "standalone")
    version = str(info.get("valkey_version") or info["redis_version"])
    if mode == "sentinel":
        return ServerFacts(version, "noeviction", primary=False, mode=mode)
    info |= {**await client.info("memory"), **await client.info("replication")}
    return ServerFacts(version, str(info["maxmemory_policy"]), info["role"] == "master", mode)


async def read_all_facts(client: redis.asyncio.Redis) -> dict[str, ServerFacts]:
    """Asks every primary; the names are for people."""
    if not isinstance(client, RoutedClient):
        return {"Redis": await read_facts(client)}
    primaries = await client.primaries()
    return {f"Redis at {host}:{port}": await read_facts(node) for (host, port), node in primaries.items()}


async def admit(client: redis.asyncio.Redis, partitions: Partitions) -> dict[str, ServerFacts]:
    """Waits for the servers and refuses unfit ones. Raises UnfitServer; errors that waiting cannot cure pass."""
    everybody = await persist(lambda: read_all_facts(client), unanswered=_wait_or_refuse)
    for name, facts in everybody.items():
        if not isinstance(client, RoutedClient) and facts.mode in OTHER_ADDRESS:
            raise UnfitServer(f"{name} {OTHER_ADDRESS[facts.mode]}")
        if _version(facts.version) < OLDEST:
            raise UnfitServer(f"{name} {facts.version} is too old: 6.2 or newer is needed.")
        if facts.policy != "noeviction":
            message = (
                f"{name} evicts keys when memory is short (maxmemory-policy {facts.policy}), which loses jobs. "
                "Set maxmemory-policy to noeviction."
            )
            raise UnfitServer(message)
    while True:
        try:
            await persist(lambda: _belongs(client, partitions), unanswered=_wait_or_refuse)
        except StoreFull:
            # Only of a new installation: there is something to write, and no room for it.
            log.warning("redis.full")
            await asyncio.sleep(jittered(FULL_PAUSE_S))
        else:
            return everybody


async def primary_of(client: redis.asyncio.Redis, key: str) -> Moment:
    """Who serves `key` now, and its clock. Errors of the connection pass, also when the server serves it no more."""
    node = client
    if isinstance(client, RoutedClient):
        node = client.client_of(await client.node_of(slot_of_key(key)))
    try:
        async with node.pipeline(transaction=False) as pipeline:
            pipeline.info("server")
            pipeline.info("replication")
            pipeline.exists(key)  # who serves the key no more says so
            pipeline.time()
            server, replication, _, (seconds, microseconds) = await pipeline.execute()
            if replication["role"] != "master":
                message = "the server is no primary any more"
                raise RedisConnectionError(message)
    except (RedisError, OSError) as error:
        if isinstance(client, RoutedClient):
            client.doubt()
        if isinstance(error, AskError):
            message = f"{key} has moved to another server"
            raise RedisConnectionError(message) from error
        raise
    return Moment(str(server["run_id"]), int(seconds) * 1000 + int(microseconds) // 1000)


async def ping_all(client: redis.asyncio.Redis) -> None:
    """Returns when every primary has answered; errors of the connection pass."""
    nodes = (await client.primaries()).values() if isinstance(client, RoutedClient) else [client]
    for node in nodes:
        await node.ping()


def _wait_or_refuse(error: Exception) -> None:
    if is_refused(error):
        raise UnfitServer(f"Redis refuses to work with us: {error}. Check redis.url, user, password and certificates.")
    log.warning("redis.awaited", error=str(error))


async def _belongs(client: redis.asyncio.Redis, partitions: Partitions) -> None:
    ours = {"partitions": str(partitions.count), "format": FORMAT}
    theirs = await _recorded(client)
    if not ours.keys() <= theirs.keys():
        # A full Redis allows no write, and its roles must be able to start: they are who makes room.
        for name, value in ours.items():
            await client.hsetnx(META, name, value)
        theirs = await _recorded(client)
    for name, value in ours.items():
        if theirs[name] != value:
            message = (
                f"This installation was set up with {name} {theirs[name]}, this role is configured with {value}. "
                f"Use the same setting in every role; it cannot change later."
            )
            raise UnfitServer(message)


async def _recorded(client: redis.asyncio.Redis) -> dict[str, str]:
    return {text(name): text(value) for name, value in (await client.hgetall(META)).items()}
