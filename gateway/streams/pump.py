"""All tails of a process: one for each partition on a Redis Cluster, where a read covers one, elsewhere one for all."""

import asyncio

import redis.asyncio

from actors.kernel import Partitions, end_tasks, is_sharded
from gateway.streams.hub import Hub
from gateway.streams.tail import Tail

BLOCK_MS = 1000


class Pump:
    """One per process, on a client of its own: its blocking reads would hold up whoever shared their connections."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        partitions: Partitions,
        hub: Hub,
        *,
        feed_length: int,
        block_ms: int = BLOCK_MS,
    ) -> None:
        self._client = client
        groups = [[partition] for partition in partitions] if is_sharded(client) else [list(partitions)]
        self.tails = [
            Tail(client, partitions, group, hub, feed_length=feed_length, block_ms=block_ms) for group in groups
        ]
        self._tail_of = {partition: tail for group, tail in zip(groups, self.tails, strict=True) for partition in group}
        self.started = asyncio.Event()
        """Set once every tail has found its places."""

    def epoch(self, partition: str) -> str | None:
        """The epoch of a partition's feed, as the pump last saw it."""
        return self._tail_of[partition].epoch(partition)

    @property
    def connected(self) -> bool:
        """The last call of every tail was answered."""
        return all(tail.connected for tail in self.tails)

    @property
    def lag_s(self) -> float:
        """How far the slowest tail may be behind Redis."""
        return max(tail.lag_s for tail in self.tails)

    @property
    def restarts(self) -> int:
        return sum(tail.restarts for tail in self.tails)

    @property
    def holes(self) -> int:
        return sum(tail.holes for tail in self.tails)

    @property
    def events(self) -> int:
        return sum(tail.events for tail in self.tails)

    async def run(self) -> None:
        """Pumps until cancelled."""
        running = [asyncio.create_task(tail.run(), name="tail") for tail in self.tails]
        try:
            for tail in self.tails:
                await tail.started.wait()
            self.started.set()
            await asyncio.gather(*running)
        finally:
            await end_tasks(running)

    async def close(self) -> None:
        """Gives the connections back, after `run` was cancelled."""
        await self._client.aclose()
