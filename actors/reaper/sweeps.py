"""Files of deleted jobs are deleted, the published ones too. In a loop of its own: large files take their time.

A worker that lost its job may still publish after that. So everything of a deleted job is deleted once more when
`collect_after_s` has passed; until then the job counts as deleted, whatever lies in its folder.
"""

import structlog
from prometheus_client import Counter
from redis.exceptions import RedisError

from actors.kernel import Keeper, Partitions, StoreUnavailable, Submitter
from actors.reaper.collector import Collector

SWEPT = Counter("reelway_deleted_total", "Deleted jobs whose files were deleted.")
log = structlog.get_logger("reaper")


class Sweeps:
    """What is to be swept is written down until it is done: storage or a server that does not work only delays."""

    def __init__(
        self,
        keeper: Keeper,
        submitter: Submitter,
        partitions: Partitions,
        collector: Collector,
        collect_after_s: float,
    ) -> None:
        self._keeper = keeper
        self._submitter = submitter
        self._partitions = partitions
        self._collector = collector
        self._collect_after_s = collect_after_s

    async def sweep(self) -> None:
        """Once over all partitions."""
        for partition in self._partitions:
            try:
                await self._sweep(partition)
            except (RedisError, OSError, StoreUnavailable) as error:
                log.warning("reaper.delayed", work="sweeps", partition=partition, error=str(error))

    async def _sweep(self, partition: str) -> None:
        for job in await self._keeper.to_sweep(partition):
            # Of a job with many children its client may not have asked often enough.
            await self._submitter.delete(job)
            if await self._remove(job):
                await self._keeper.swept(partition, job)
                SWEPT.inc()
                log.info("job.swept", job=job)
        before_ms = await self._keeper.server_time_ms() - round(self._collect_after_s * 1000)
        late = [job for job in await self._keeper.deleted_before(partition, before_ms) if await self._remove(job)]
        if late:
            await self._keeper.forget_deleted(partition, late)

    async def _remove(self, job: str) -> bool:
        try:
            await self._collector.remove(job)
        except OSError as error:
            log.warning("reaper.sweep_failed", job=job, error=str(error))
            return False
        return True
