"""Duty: leases that have run out end, so that the work starts again elsewhere."""

from collections.abc import Mapping

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis

from actors.kernel import Keeper, Partitions
from actors.reaper.duty import MOST_CALLS, MOST_PER_CALL
from actors.reaper.watch import Watch

REAPED = Counter("reelway_reaped_total", "Leases that ran out, by what became of the job.", ["outcome"])
log = structlog.get_logger("reaper")


class Leases:
    """Ends nothing before the partition's primary was heard of for a whole lease."""

    name = "leases"
    interval_s = 0.0

    def __init__(self, client: Redis, keeper: Keeper, partitions: Partitions, watches: Mapping[str, Watch]) -> None:
        self._client = client
        self._keeper = keeper
        self._partitions = partitions
        self._watches = watches

    async def run(self, partition: str) -> None:
        watch = self._watches[partition]
        for _ in range(MOST_CALLS):
            if not watch.proven:
                return
            reaped = await self._keeper.reap(partition, watch.heard_ms)
            if reaped.stale:
                # The server (or this process) stood still in between, or a clock stepped.
                watch.forget()
                log.info("reaper.stale", partition=partition)
                return
            for job, outcome in reaped.jobs.items():
                _lost(job, outcome)
            if len(reaped.jobs) < MOST_PER_CALL:
                watch.next_end_ms = await self._first_end_ms(partition)
                return

    async def _first_end_ms(self, partition: str) -> float | None:
        """Only a lease whose worker missed its beats ends soon, and the next pass need not be late for it."""
        first: list[tuple[bytes, float]] = await self._client.zrange(  # type: ignore[assignment]
            self._partitions.keys(partition).leases, 0, 0, withscores=True
        )
        return first[0][1] if first else None


def _lost(job: str, outcome: str) -> None:
    REAPED.labels(outcome).inc()
    log.warning("lease.lost", job=job, outcome=outcome)
