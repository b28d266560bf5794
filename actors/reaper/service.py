"""The passes of the reaper, over every partition each second."""

import asyncio
import contextlib
import random
import time

import structlog
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from actors.installation import kernel_options, redis_options
from actors.kernel import Keeper, Partitions, connect, end_tasks, means_wait
from actors.reaper.collector import Collector
from actors.reaper.continuity import Answer, Continuity
from actors.settings import Settings
from actors.storage import Storage

JITTER = 0.2
PASSES_PER_LEASE = 4
"""At least so many, however long the interval is set: answers further apart than half a lease prove nothing."""
MOST_PER_CALL = 100
MOST_CALLS = 50
"""Bounds one verb of one pass; the rest is for the next pass."""

REAPED = Counter("reelway_reaped_total", "Leases that ran out, by what became of the job.", ["outcome"])
PROMOTED = Counter("reelway_promoted_total", "Delayed jobs that were queued again.")
EXPIRED = Counter("reelway_expired_total", "Jobs ended at their deadline.")
REPAIRED = Counter("reelway_repaired_total", "Jobs whose keys had to be repaired.", ["repair"])
FORGOTTEN = Counter("reelway_forgotten_total", "Finished jobs deleted after their retention.")
WATCHING = Gauge("reelway_reaper_watching", "1 while this reaper may end leases, 0 while it watches first.")
log = structlog.get_logger("reaper")


class Reaper:
    """A Service. A pass that fails is only delayed: everything it would have done is still there."""

    name = "reaper"

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._partitions = Partitions(settings.redis.partitions)
        self._options = kernel_options(settings)
        self._continuity = Continuity(self._options.lease_ms)
        self._interval_s = min(settings.reaper.interval_s, self._options.lease_s / PASSES_PER_LEASE)
        self._storage = storage
        self._cursors = dict.fromkeys(self._partitions, "0")
        self._reconciled_s = dict.fromkeys(self._partitions, 0.0)
        self._answered = asyncio.Event()
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        self._client: Redis = connect(redis_options(self._settings), connections=4)
        self._keeper = Keeper(self._client, self._partitions, self._options)
        self._collector = Collector(self._client, self._partitions, self._storage, self._settings.storage)
        self._passes = asyncio.create_task(self._repeat_passes(), name="reaper-passes")
        self._collecting = asyncio.create_task(self._repeat_collecting(), name="reaper-collector")

    async def ready(self) -> None:
        """Returns after the first pass that Redis answered."""
        await self._answered.wait()

    async def drain(self) -> None:
        self._stopping.set()

    async def stop(self) -> None:
        self._stopping.set()
        await asyncio.gather(self._passes, end_tasks([self._collecting]), return_exceptions=True)
        await self._client.aclose()

    async def _repeat_passes(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._pass()
                self._answered.set()
            except (RedisError, OSError) as error:
                self._continuity.forget()
                WATCHING.set(0)
                if means_wait(error):
                    log.warning("reaper.redis_lost", error=str(error))
                else:
                    log.exception("reaper.pass_refused")
            except Exception:
                log.exception("reaper.pass_failed")
            await self._sleep(self._interval_s * random.uniform(1 - JITTER, 1 + JITTER))

    async def _pass(self) -> None:
        """One round. The continuity is judged once for all partitions of the same server."""
        may_reap = await self._listen()
        WATCHING.set(1 if may_reap else 0)
        for partition in self._partitions:
            await self._promote(partition)
            if may_reap:
                may_reap = await self._reap(partition)
            await self._expire(partition)
            await self._reconcile(partition)

    async def _listen(self) -> bool:
        sent_ms = time.monotonic() * 1000
        server, moment = await self._identify()
        return self._continuity.hear(Answer(server, moment, sent_ms, time.monotonic() * 1000))

    async def _identify(self) -> tuple[str, int]:
        """The run id of the server, which changes with every start of it, and its clock in ms."""
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.info("server")
            pipeline.time()
            info, (seconds, microseconds) = await pipeline.execute()
        return str(info["run_id"]), int(seconds) * 1000 + int(microseconds) // 1000

    async def _promote(self, partition: str) -> None:
        for _ in range(MOST_CALLS):
            promoted = await self._keeper.promote(partition)
            PROMOTED.inc(len(promoted))
            if len(promoted) < MOST_PER_CALL:
                return

    async def _reap(self, partition: str) -> bool:
        """False when the server says that the last answer is too old, which ends the reaping of this pass."""
        for _ in range(MOST_CALLS):
            reaped = await self._keeper.reap(partition, self._continuity.last_answer_ms)
            if reaped.stale:
                log.info("reaper.stale", partition=partition)
                return False
            for job, outcome in reaped.jobs.items():
                REAPED.labels(outcome).inc()
                log.warning("lease.lost", job=job, outcome=outcome)
            if len(reaped.jobs) < MOST_PER_CALL:
                return True
        return True

    async def _expire(self, partition: str) -> None:
        for _ in range(MOST_CALLS):
            expired = await self._keeper.expire(partition)
            EXPIRED.inc(len(expired.jobs))
            for job in expired.jobs:
                log.info("job.expired", job=job)
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

    async def _reconcile(self, partition: str) -> None:
        """One page a pass while a round is under way; a round begins every `reconcile_s`."""
        now_s = time.monotonic()
        beginning = self._cursors[partition] == "0"
        if beginning and now_s - self._reconciled_s[partition] < self._settings.reaper.reconcile_s:
            return
        if beginning:
            self._reconciled_s[partition] = now_s
        self._cursors[partition], repairs = await self._keeper.reconcile(partition, self._cursors[partition])
        for job, repair in repairs.items():
            REPAIRED.labels(repair).inc()
            log.warning("job.repaired", job=job, repair=repair)

    async def _repeat_collecting(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._collector.collect()
            except (RedisError, OSError) as error:
                log.warning("collector.delayed", error=str(error))
            except Exception:
                log.exception("collector.failed")
            await self._sleep(self._collector.interval_s * random.uniform(1 - JITTER, 1 + JITTER))

    async def _sleep(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), pause_s)
