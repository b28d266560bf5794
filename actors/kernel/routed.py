"""A client for a primary that changes: of a Redis Cluster, or behind Sentinels.

It has the commands of an ordinary client and sends each to the primary that serves its keys, over an ordinary client of
that primary. The library's own cluster client repeats calls, sends ASKING over another connection than the call it is
meant for, and breaks every call under way to learn the topology; this one re-sends only what a server refused with
MOVED or ASK, so did not carry out. Everything else is an error that the caller's own loop waits out.

The topology is learned anew each second, and at once after any doubt. Calls still waiting for a server that serves
nothing any more are broken off then: a frozen primary holds nobody up once its replica was promoted.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import redis.asyncio
import structlog
from redis.asyncio.client import Pipeline
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from actors.kernel.address import Node
from actors.kernel.ending import end_tasks
from actors.kernel.topology import Directory

LEARN_S = 1.0
"""Longest age of the topology."""
PAUSE_S = 0.1
"""Shortest time between two questions about it."""
REDIRECTS = 5
SYSTEM = "rw:{sys}:"
"""Commands without a key go to the primary that serves what concerns the whole installation."""
_KEYLESS = frozenset({
    "ACL", "BGREWRITEAOF", "BGSAVE", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "ECHO", "FLUSHALL", "FLUSHDB",
    "INFO", "KEYS", "LASTSAVE", "LATENCY", "PING", "ROLE", "SAVE", "SCAN", "SCRIPT", "SLOWLOG", "TIME", "WAIT",
    "WAITAOF",
})  # fmt: skip
_KEY_BEHIND_SUBCOMMAND = frozenset({"MEMORY", "OBJECT", "XGROUP", "XINFO"})
_DOUBTFUL = (RedisConnectionError, RedisTimeoutError, OSError, ReadOnlyError, ClusterDownError)
"""Errors after which somebody else may serve the key."""
log = structlog.get_logger("kernel.routed")


def slot_of_key(key: str | bytes) -> int:
    return int(key_slot(key if isinstance(key, bytes) else key.encode()))


def slot_of(command: tuple[Any, ...]) -> int:
    """The slot of a command's first key; the others must lie in the same."""
    name, *words = str(command[0]).upper().split()
    at = 1
    if name in _KEYLESS:
        return slot_of_key(SYSTEM)
    if name in {"EVAL", "EVALSHA"}:
        if int(command[2]) == 0:
            return slot_of_key(SYSTEM)
        at = 3
    elif name in {"XREAD", "XREADGROUP"}:
        at = next(place for place, word in enumerate(command) if str(word).upper() in {"STREAMS", "B'STREAMS'"}) + 1
    elif name in _KEY_BEHIND_SUBCOMMAND and not words:
        at = 2
    return slot_of_key(command[at])


def is_sharded(client: redis.asyncio.Redis) -> bool:
    """Whether one call can only touch keys of one partition."""
    return isinstance(client, RoutedClient) and client.sharded


class RoutedClient(redis.asyncio.Redis):
    """Sends every command to the primary that serves its keys. Belongs to one event loop."""

    def __init__(
        self, directory: Directory, open_node: Callable[[Node], redis.asyncio.Redis], *, sharded: bool
    ) -> None:
        self.sharded = sharded
        """Different keys may have different primaries."""
        # This pool makes the commands of the base class work; no connection is ever taken from it.
        super().__init__(connection_pool=redis.asyncio.ConnectionPool(protocol=2))
        self._directory = directory
        self._open_node = open_node
        self._nodes: dict[Node, redis.asyncio.Redis] = {}
        self._asking = asyncio.Lock()
        self._doubt = asyncio.Event()
        self._learning: asyncio.Task[None] | None = None

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        slot = slot_of(args)
        node = await self.node_of(slot)
        asking = False
        for _ in range(REDIRECTS):
            try:
                return await self._send(node, args, options, asking=asking)
            except MovedError as error:
                node, asking = (error.host or node[0], error.port), False
                self._directory.moved(slot, node)
                self._doubt.set()
            except AskError as error:
                node, asking = (error.host or node[0], error.port), True
            except _DOUBTFUL:
                self.doubt()
                raise
        message = f"slot {slot} was redirected {REDIRECTS} times"
        raise RedisConnectionError(message)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "RoutedPipeline":
        """A pipeline of independent commands, each sent to where its keys are; there are no transactions."""
        if transaction or shard_hint:
            message = "a routed pipeline is no transaction: ask for transaction=False"
            raise ValueError(message)
        return RoutedPipeline(self)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        if self._learning is not None:
            await end_tasks([self._learning])
            self._learning = None
        await self._directory.close()
        await self._forget(set(self._nodes))
        await super().aclose(close_connection_pool)

    async def node_of(self, slot: int) -> Node:
        """Who serves a slot. Raises ClusterDownError when nobody does; errors of asking pass the first time."""
        await self._know()
        node = self._directory.owner(slot)
        if node is None:
            self.doubt()
            message = f"slot {slot} is served by no node"
            raise ClusterDownError(message)
        return node

    async def primaries(self) -> dict[Node, redis.asyncio.Redis]:
        """An ordinary client for each primary."""
        await self._know()
        return {node: self.client_of(node) for node in sorted(self._directory.primaries)}

    def client_of(self, node: Node) -> redis.asyncio.Redis:
        """The ordinary client of one server. It must not be closed by the caller."""
        if node not in self._nodes:
            self._nodes[node] = self._open_node(node)
        return self._nodes[node]

    def doubt(self) -> None:
        """Something suggests that the topology has changed."""
        self._directory.distrust()
        self._doubt.set()

    async def _send(self, node: Node, args: tuple[Any, ...], options: dict[str, Any], *, asking: bool) -> Any:
        client = self.client_of(node)
        if not asking:
            return await client.execute_command(*args, **options)  # type: ignore[no-untyped-call]
        # ASKING holds for the next command of its connection, so both travel together.
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.execute_command("ASKING")
            pipeline.execute_command(*args, **options)
            _, reply = await pipeline.execute(raise_on_error=False)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _know(self) -> None:
        if self._learning is not None:
            return
        async with self._asking:
            if self._learning is None:
                await self._directory.ask()
                self._learning = asyncio.create_task(self._learn(), name="redis-topology")

    async def _learn(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._doubt.wait(), LEARN_S * random.uniform(0.8, 1.0))
            self._doubt.clear()
            before = self._directory.primaries
            try:
                await self._directory.ask()
            except (RedisError, OSError) as error:
                log.warning("topology.unanswered", error=str(error))
                self._directory.distrust()
            else:
                if self._directory.primaries != before:
                    log.info("topology.changed", primaries=sorted(self._directory.primaries))
                await self._forget({node for node in self._nodes if node not in self._directory.primaries})
            await asyncio.sleep(PAUSE_S)

    async def _forget(self, nodes: set[Node]) -> None:
        """Closes the clients of servers that serve nothing any more, with the calls that still wait for them."""
        for node in nodes:
            client = self._nodes.pop(node)
            with contextlib.suppress(RedisError, OSError):
                await client.aclose()


class RoutedPipeline(Pipeline):
    """Independent commands that travel together as far as they go to the same primary; replies in their order."""

    def __init__(self, client: RoutedClient) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction=False, shard_hint=None)
        self._client = client

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        commands, self.command_stack = self.command_stack, []
        places: dict[Node, list[int]] = defaultdict(list)
        for place, (args, _) in enumerate(commands):
            places[await self._client.node_of(slot_of(args))].append(place)
        replies: list[Any] = [None] * len(commands)
        for node, where in places.items():
            found = await self._send(node, [commands[place] for place in where])
            for place, reply in zip(where, found, strict=True):
                replies[place] = reply
        if raise_on_error:
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    async def _send(self, node: Node, commands: list[Any]) -> list[Any]:
        try:
            async with self._client.client_of(node).pipeline(transaction=False) as pipeline:
                pipeline.command_stack = commands
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
        except _DOUBTFUL:
            self._client.doubt()
            raise
        for place, reply in enumerate(replies):
            if isinstance(reply, AskError):
                args, options = commands[place]
                try:
                    replies[place] = await self._client.execute_command(*args, **options)
                except RedisError as error:
                    replies[place] = error
            elif isinstance(reply, _DOUBTFUL):
                self._client.doubt()
        return replies
