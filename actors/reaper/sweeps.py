"""Duty: the files of deleted jobs are deleted, the published ones too.

A worker that lost its job may still publish after that. So everything of a deleted job is deleted once more when
`collect_after_s` has passed; until then the job counts as deleted, whatever lies in its folder.
"""

import structlog
from prometheus_client import Counter

from actors.kernel import Keeper, Submitter
from actors.reaper.collector import Collector

SWEPT = Counter("reelway_deleted_total", "Deleted jobs whose files were deleted.")
log = structlog.get_logger("reaper")


class Sweeps:
    """Storage that does not work only delays: what is to be swept is written down until it is done."""

    name = "sweeps"
    interval_s = 0.0

    def __init__(self, keeper: Keeper, submitter: Submitter, collector: Collector, collect_after_s: float) -> None:
        self._keeper = keeper
        self._submitter = submitter
        self._collector = collector
        self._collect_after_s = collect_after_s

    async def run(self, partition: str) -> None:
        for job in await self._keeper.to_sweep(partition):
            # Of a job with many children its client may not have asked often enough.
            await self._submitter.delete(job)
            if await self._sweep(job):
                await self._keeper.swept(partition, job)
                SWEPT.inc()
                log.info("job.swept", job=job)
        before_ms = await self._keeper.server_time_ms() - round(self._collect_after_s * 1000)
        late = [job for job in await self._keeper.deleted_before(partition, before_ms) if await self._sweep(job)]
        if late:
            await self._keeper.forget_deleted(partition, late)

    async def _sweep(self, job: str) -> bool:
        try:
            await self._collector.remove(job)
        except OSError as error:
            log.warning("reaper.sweep_failed", job=job, error=str(error))
            return False
        return True
