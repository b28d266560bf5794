"""Looks at tenants with a limit all the time: how many of their jobs are under way, at moments of the server."""

import asyncio
import contextlib
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from actors.kernel import Keeper, Keys, RedisOptions, connect
from tests.faults.history import Journal, Sample, now_s
from tests.faults.house.house import House
from tests.faults.house.times import TENANT_LIMITS

SAMPLE_S = 0.1
_SCRIPT = """
local running = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local job = redis.call('HMGET', ARGV[1] .. id, 'tenant', 'state')
  if job[1] == ARGV[2] and job[2] == 'running' then running = running + 1 end
end
return { redis.call('GET', KEYS[3]) or '', redis.call('SCARD', KEYS[1]), running }
"""


class Sampler:
    """Sets the limits at the start, and again if one was lost with a tail of Redis.

    Then there are no samples of that tenant until its jobs under way have come below the limit again.
    """

    def __init__(self, house: House, journal: Journal) -> None:
        self._house = house
        self._journal = journal
        self._kept: set[str] = set()
        """Tenants for whom the limit has held since it was set."""

    async def run(self) -> None:
        """Until it is cancelled. A server that is away has no samples."""
        client = connect(RedisOptions(url=self._house.url), connections=2)
        try:
            while True:
                with contextlib.suppress(RedisError, OSError):
                    await self.look(client)
                await asyncio.sleep(SAMPLE_S)
        finally:
            await client.aclose()

    async def look(self, client: redis.asyncio.Redis) -> None:
        """One sample of every tenant. Errors of the connection pass."""
        for tenant, limit in TENANT_LIMITS.items():
            await self._look(client, tenant, limit)

    async def _look(self, client: redis.asyncio.Redis, tenant: str, limit: int) -> None:
        partitions = self._house.partitions
        keys = partitions.keys(partitions.of_tenant(tenant))
        known, slots, running = await _sample(client, keys, tenant)
        at_s = now_s()
        if known != str(limit).encode():
            self._kept.discard(tenant)
            await Keeper(client, partitions, self._house.options).set_limit(tenant, limit)
        elif max(slots, running) <= limit:
            self._kept.add(tenant)
        if tenant in self._kept:
            self._journal.add(Sample(at_s=at_s, tenant=tenant, limit=limit, slots=slots, running=running))


async def _sample(client: redis.asyncio.Redis, keys: Keys, tenant: str) -> tuple[bytes, int, int]:
    reply: Any = await client.execute_command(  # type: ignore[no-untyped-call]
        "EVAL", _SCRIPT, 3, keys.slots(tenant), keys.leases, keys.limit(tenant), keys.job(""), tenant
    )
    return reply[0], int(reply[1]), int(reply[2])
