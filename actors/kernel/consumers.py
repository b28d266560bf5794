"""Names of workers that are gone are taken out of the inboxes' groups."""

from itertools import islice

import redis.asyncio
from redis.exceptions import ResponseError

from actors.kernel.keys import GROUP, Partitions
from actors.kernel.options import KernelOptions
from actors.kernel.scripts import Argument, Scripts, text

IDLE_LEASES = 10
"""A consumer that holds nothing is dropped when it has not asked for work for so many leases."""

PER_CALL = 100


class Consumers:
    """The consumers of inboxes. Harmless when repeated and when several reapers call it at once."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions, options: KernelOptions) -> None:
        self._client = client
        self._scripts = Scripts(client, options)
        self._partitions = partitions
        self._idle_ms = IDLE_LEASES * options.lease_ms

    async def drop(self, partition: str, inbox: str) -> list[str]:
        """Drops idle consumers of one inbox (a key of `partition`); at most 100 a call."""
        idle: list[Argument] = [*await self._idle(inbox)]
        if not idle:
            return []
        keys = self._partitions.keys(partition)
        return [text(name) for name in await self._scripts.call("drop_consumers", keys, [inbox], idle)]

    async def _idle(self, inbox: str) -> list[str]:
        """Consumers that hold nothing and have not asked for long; at most a call's worth."""
        try:
            consumers = await self._client.xinfo_consumers(inbox, GROUP)
        except ResponseError as error:
            if "NOGROUP" in str(error) or "no such key" in str(error):
                return []
            raise
        idle = (each["name"] for each in consumers if each["pending"] == 0 and each["idle"] > self._idle_ms)
        return [text(name) for name in islice(idle, PER_CALL)]
