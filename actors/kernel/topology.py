"""Who serves which keys: learned from the nodes of a Redis Cluster, or from Sentinels.

A view carries an epoch that grows with every promotion, so an isolated node that still believes in the old order is
recognised and not followed.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from actors.kernel.address import Node

SLOTS = 16384


class WrongTopology(RedisConnectionError):
    """The servers answered, but they are not what the address says. The message says what they are."""


class View(msgspec.Struct, frozen=True):
    """What one server says about all of them."""

    epoch: int
    """Grows with every promotion."""
    served: tuple[tuple[int, int, Node], ...]
    """First slot, last slot and the primary that serves them."""
    nodes: tuple[Node, ...]
    """Who can be asked the next time, besides those who were named in the address."""


_TELLING = (WrongTopology, AuthenticationError, ResponseError)
Read = Callable[[redis.asyncio.Redis, Node], Awaitable[View]]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def read_cluster(client: redis.asyncio.Redis, asked: Node) -> View:
    """The view of one node of a Redis Cluster. Raises WrongTopology when it is not in one."""
    async with client.pipeline(transaction=False) as pipeline:
        # As words of their own, so that the replies arrive as they were sent.
        pipeline.execute_command("CLUSTER", "INFO")
        pipeline.execute_command("CLUSTER", "SLOTS")
        try:
            info, ranges = await pipeline.execute()
        except ResponseError as error:
            if "cluster support disabled" in str(error):
                message = f"{asked[0]}:{asked[1]} is no node of a Redis Cluster: use redis:// for a single server"
                raise WrongTopology(message) from error
            raise
    facts = dict(line.split(":", 1) for line in _text(info).split("\r\n") if line)
    served, nodes = [], []
    for first, last, *holders in ranges:
        # A node that does not know its own name leaves it out: it is the one that was asked.
        found = [(_text(host) if host else asked[0], int(port)) for host, port, *_ in holders]
        served.append((int(first), int(last), found[0]))
        nodes += found
    return View(int(facts["cluster_current_epoch"]), tuple(served), tuple(dict.fromkeys(nodes)))


def sentinel_reader(service: str) -> Read:
    """Reads the view of a Sentinel: one primary serves every slot."""

    async def read(client: redis.asyncio.Redis, _: Node) -> View:
        try:
            reply: Any = await client.execute_command("SENTINEL", "MASTER", service)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            if "No such master" in str(error):
                message = f"the Sentinels know no primary by the name {service!r}"
                raise WrongTopology(message) from error
            if "unknown command" in str(error):
                message = "the servers named in the address are no Sentinels"
                raise WrongTopology(message) from error
            raise
        facts = {_text(name): _text(value) for name, value in zip(reply[::2], reply[1::2], strict=True)}
        primary = (facts["ip"], int(facts["port"]))
        return View(int(facts["config-epoch"]), ((0, SLOTS - 1, primary),), ())

    return read


class Directory:
    """The newest view, and how to get a newer one."""

    def __init__(self, named: Sequence[Node], open_client: Callable[[Node], redis.asyncio.Redis], read: Read) -> None:
        self._named = tuple(named)
        self._order = random.sample(named, len(named))
        """Who is asked, the one that answered last first."""
        self._open_client = open_client
        self._read = read
        self._asked: tuple[Node, redis.asyncio.Redis] | None = None
        self._owners: list[Node | None] = [None] * SLOTS
        self._epoch = -1
        self.primaries: frozenset[Node] = frozenset()
        """Those who serve anything."""

    def owner(self, slot: int) -> Node | None:
        """Who serves a slot; None: nobody, as far as is known."""
        return self._owners[slot]

    def moved(self, slot: int, node: Node) -> None:
        """A server said that another one serves the slot."""
        self._owners[slot] = node
        self.primaries |= {node}

    def distrust(self) -> None:
        """What was said last did not help: ask somebody else the next time."""
        self._order.append(self._order.pop(0))

    async def ask(self) -> None:
        """Takes the first view that is not older than the one we have, else the newest of all.

        Raises the error of the last server when none answers; WrongTopology and refused credentials come first.
        """
        newest: View | None = None
        errors: list[Exception] = []
        for node in tuple(self._order):
            try:
                view = await self._read(await self._client_of(node), node)
            except (RedisError, OSError) as error:
                await self._close_asked()
                errors.append(error)
                continue
            if newest is None or view.epoch > newest.epoch:
                newest = view
            if view.epoch >= self._epoch:
                self._prefer(node)
                break
        if newest is None:
            # Who answered at all knows more than who did not.
            raise max(errors, key=lambda error: isinstance(error, _TELLING))
        self._take(newest)

    async def close(self) -> None:
        await self._close_asked()

    def _take(self, view: View) -> None:
        owners: list[Node | None] = [None] * SLOTS
        for first, last, primary in view.served:
            owners[first : last + 1] = [primary] * (last - first + 1)
        self._owners, self._epoch = owners, view.epoch
        self.primaries = frozenset(primary for _, _, primary in view.served)
        self._order = list(dict.fromkeys([*self._order, *view.nodes]))
        known = {*self._named, *view.nodes}
        self._order = [node for node in self._order if node in known]

    def _prefer(self, node: Node) -> None:
        self._order.remove(node)
        self._order.insert(0, node)

    async def _client_of(self, node: Node) -> redis.asyncio.Redis:
        if self._asked is not None and self._asked[0] != node:
            await self._close_asked()
        if self._asked is None:
            self._asked = (node, self._open_client(node))
        return self._asked[1]

    async def _close_asked(self) -> None:
        if self._asked is not None:
            (_, client), self._asked = self._asked, None
            await client.aclose()
