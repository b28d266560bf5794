"""Duty: jobs past their deadline end, and ended jobs whose retention is over are forgotten with their files."""

import structlog
from prometheus_client import Counter

from actors.kernel import Keeper
from actors.reaper.collector import Collector
from actors.reaper.duty import MOST_CALLS, MOST_PER_CALL

EXPIRED = Counter("reelway_expired_total", "Jobs ended at their deadline.")
FORGOTTEN = Counter("reelway_forgotten_total", "Finished jobs deleted after their retention.")
log = structlog.get_logger("reaper")


class Deadlines:
    """Expires jobs, sweeps files, then lets the kernel forget."""

    name = "deadlines"
    interval_s = 0.0

    def __init__(self, keeper: Keeper, collector: Collector) -> None:
        self._keeper = keeper
        self._collector = collector

    async def run(self, partition: str) -> None:
        for _ in range(MOST_CALLS):
            expired = await self._keeper.expire(partition)
            for job in expired.jobs:
                _expired(job)
            for job in expired.retained:
                await self._sweep(job)
            FORGOTTEN.inc(len(await self._keeper.retention(partition, expired.retained)))
            if len(expired.jobs) + len(expired.retained) < MOST_PER_CALL:
                return

    async def _sweep(self, job: str) -> None:
        """Storage that does not work stops no pass: the collector finds what is left of a forgotten job."""
        try:
            await self._collector.sweep(job)
        except OSError as error:
            log.warning("reaper.sweep_failed", job=job, error=str(error))


def _expired(job: str) -> None:
    EXPIRED.inc()
    log.info("job.expired", job=job)
