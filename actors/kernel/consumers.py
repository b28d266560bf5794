"""Names of workers that are gone are taken out of the inboxes' groups."""

import redis.asyncio

from actors.kernel.keys import Partitions
from actors.kernel.options import KernelOptions
from actors.kernel.scripts import Scripts, text

IDLE_LEASES = 10
"""A consumer that holds nothing is dropped when it has not asked for work for so many leases."""


class Consumers:
    """The consumers of inboxes. Harmless when repeated and when several reapers call it at once."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions, options: KernelOptions) -> None:
        self._scripts = Scripts(client, options)
        self._partitions = partitions
        self._idle_ms = IDLE_LEASES * options.lease_ms

    async def drop(self, partition: str, inbox: str) -> list[str]:
        """Drops idle consumers of one inbox (a key of `partition`); at most 100 a call."""
        keys = self._partitions.keys(partition)
        return [text(name) for name in await self._scripts.call("drop_consumers", keys, [inbox], [self._idle_ms])]
