"""The passes of the reaper: for every partition its own, one after the other, about each second."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from actors.installation import kernel_options, redis_options
from actors.kernel import Keeper, Partitions, Submitter, connect, end_tasks, means_wait
from actors.kernel.consumers import Consumers
from actors.kernel.pauses import Pauses
from actors.reaper.collector import Collector
from actors.reaper.consumers import IdleConsumers
from actors.reaper.deadlines import Deadlines
from actors.reaper.delays import Delays
from actors.reaper.duty import Duty
from actors.reaper.installation import Installation
from actors.reaper.lanes import Lanes
from actors.reaper.leases import Leases
from actors.reaper.pauses import PauseCopies
from actors.reaper.repairs import Repairs
from actors.reaper.survey import Survey
from actors.reaper.sweeps import Sweeps
from actors.reaper.watch import Watch
from actors.settings import Settings
from actors.storage import Storage

JITTER = 0.2
PASSES_PER_LEASE = 4
"""At least so many, however long the interval is set: answers further apart than half a lease prove nothing."""
CONNECTIONS = 8

WATCHING = Gauge("reelway_reaper_watching", "1 while this reaper may end leases everywhere, 0 while it watches first.")
log = structlog.get_logger("reaper")


class Reaper:
    """A Service. A pass that fails is only delayed: everything it would have done is still there.

    Partitions are independent of each other: a primary that is away delays nothing in partitions of another one.
    """

    name = "reaper"

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._partitions = Partitions(settings.redis.partitions)
        self._options = kernel_options(settings)
        self._interval_s = min(settings.reaper.interval_s, self._options.lease_s / PASSES_PER_LEASE)
        self._storage = storage
        self._lost: set[str] = set()
        """Partitions whose primary did not answer the last pass."""
        self._answered = asyncio.Event()
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        client: Redis = connect(redis_options(self._settings), connections=CONNECTIONS)
        self._client = client
        self._watches = {
            partition: Watch(client, self._partitions.keys(partition).leases, self._options.lease_ms)
            for partition in self._partitions
        }
        collector = Collector(client, self._partitions, self._storage, self._settings.storage)
        duties, installation = self._duties(client, collector)
        sweeps = Sweeps(
            Keeper(client, self._partitions, self._options),
            Submitter(client, self._partitions, self._options),
            self._partitions,
            collector,
            self._settings.storage.collect_after_s,
        )
        repeated: list[tuple[str, Callable[[], Awaitable[None]], float]] = [
            ("reaper-installation", installation.look, min(installation.interval_s, self._options.lease_s)),
            ("reaper-collector", collector.collect, collector.interval_s),
            ("reaper-sweeps", sweeps.sweep, self._interval_s),
        ]
        self._passes = [
            asyncio.create_task(self._repeat_passes(partition, duties), name=f"reaper-{partition}")
            for partition in self._partitions
        ]
        self._others = [asyncio.create_task(self._repeat(*each), name=each[0]) for each in repeated]

    def _duties(self, client: Redis, collector: Collector) -> tuple[Sequence[Duty], Installation]:
        """In the order of a pass: what was lost comes first, while the last answer is fresh."""
        keeper = Keeper(client, self._partitions, self._options)
        reconcile_s = self._settings.reaper.reconcile_s
        lanes = Lanes(self._settings.reaper.rescue_s)
        pauses = PauseCopies(Pauses(client, self._partitions))
        duties: Sequence[Duty] = (
            Leases(client, keeper, self._partitions, self._watches),
            Delays(keeper),
            Deadlines(keeper, collector),
            Repairs(keeper, lanes, self._partitions, reconcile_s),
            pauses,
            IdleConsumers(Consumers(client, self._partitions, self._options), self._partitions, reconcile_s),
            Survey(client, self._partitions),
        )
        return duties, Installation(client, lanes, pauses)

    async def ready(self) -> None:
        """Returns after the first pass that Redis answered."""
        await self._answered.wait()

    async def drain(self) -> None:
        self._stopping.set()

    async def stop(self) -> None:
        self._stopping.set()
        await asyncio.gather(*self._passes, end_tasks(self._others), return_exceptions=True)
        await self._client.aclose()

    async def _repeat_passes(self, partition: str, duties: Sequence[Duty]) -> None:
        due_s = dict.fromkeys((duty.name for duty in duties), 0.0)
        while not self._stopping.is_set():
            try:
                await self._pass(partition, duties, due_s)
                self._found(partition)
            except (RedisError, OSError) as error:
                self._watches[partition].forget()
                if means_wait(error):
                    self._lose(partition, error)
                else:
                    log.exception("reaper.pass_refused", partition=partition)
            WATCHING.set(all(watch.proven for watch in self._watches.values()))
            await self._sleep(self._watches[partition].pause_s(self._jittered_s(self._interval_s)))

    async def _pass(self, partition: str, duties: Sequence[Duty], due_s: dict[str, float]) -> None:
        await self._watches[partition].listen()
        for duty in duties:
            now_s = time.monotonic()
            if now_s < due_s[duty.name]:
                continue
            due_s[duty.name] = now_s + duty.interval_s
            try:
                await duty.run(partition)
            except (RedisError, OSError) as error:
                if means_wait(error):
                    raise
                log.exception("reaper.duty_refused", duty=duty.name, partition=partition)
            except Exception:
                log.exception("reaper.duty_failed", duty=duty.name, partition=partition)

    async def _repeat(self, name: str, work: Callable[[], Awaitable[None]], interval_s: float) -> None:
        while not self._stopping.is_set():
            try:
                await work()
            except (RedisError, OSError) as error:
                log.warning("reaper.delayed", work=name, error=str(error))
            except Exception:
                log.exception("reaper.work_failed", work=name)
            await self._sleep(self._jittered_s(interval_s))

    def _lose(self, partition: str, error: Exception) -> None:
        """One line when the first partition is lost, not one a second for each of them."""
        if not self._lost:
            log.warning("reaper.redis_lost", partition=partition, error=str(error))
        self._lost.add(partition)

    def _found(self, partition: str) -> None:
        self._answered.set()
        if self._lost == {partition}:
            log.info("reaper.redis_found")
        self._lost.discard(partition)

    @staticmethod
    def _jittered_s(interval_s: float) -> float:
        return interval_s * random.uniform(1 - JITTER, 1 + JITTER)

    async def _sleep(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), pause_s)
