"""Duty: leases that have run out end, so that the work starts again elsewhere."""

from collections.abc import Mapping

import structlog
from prometheus_client import Counter

from actors.kernel import Keeper
from actors.reaper.duty import MOST_CALLS, MOST_PER_CALL
from actors.reaper.watch import Watch

REAPED = Counter("reelway_reaped_total", "Leases that ran out, by what became of the job.", ["outcome"])
log = structlog.get_logger("reaper")


class Leases:
    """Ends nothing before the partition's primary was heard of for a whole lease."""

    name = "leases"
    interval_s = 0.0

    def __init__(self, keeper: Keeper, watches: Mapping[str, Watch]) -> None:
        self._keeper = keeper
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
                return


def _lost(job: str, outcome: str) -> None:
    REAPED.labels(outcome).inc()
    log.warning("lease.lost", job=job, outcome=outcome)
