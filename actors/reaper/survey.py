"""Duty: the figures an operator looks at, over all partitions. Every reaper shows the same ones: take the greatest."""

from collections import defaultdict

import structlog
from prometheus_client import Gauge
from redis.asyncio import Redis

from actors.inboxes import LANES, Inbox
from actors.kernel import Partitions
from actors.kernel.keys import Lane
from actors.kernel.presence import WorkerFacts
from actors.kernel.scripts import text
from actors.kernel.system_scripts import SystemScripts
from actors.survey import Figures, read_figures

JOBS = Gauge("reelway_jobs", "Unfinished jobs; `held` are also those that wait for their children.", ["state"])
WAITING = Gauge("reelway_inbox_waiting", "Hints that nobody has taken yet.", ["stage", "lane", "priority"])
OLDEST = Gauge("reelway_oldest_waiting_seconds", "Age of the oldest hint that nobody has taken.", ["stage", "lane"])
DEAD = Gauge("reelway_dead_letters", "Failed jobs that can be looked at and replayed.")
QUARANTINED = Gauge("reelway_quarantined", "Jobs whose data could not be read.")
WORKERS = Gauge("reelway_workers", "Workers that take work.", ["stage", "lane"])
SLOTS = Gauge("reelway_worker_slots", "Jobs they can run at once.", ["stage", "lane"])
_NEWEST = 100
log = structlog.get_logger("reaper")


class Survey:
    """Reads one partition a run and shows the sum over all partitions read so far."""

    name = "survey"
    interval_s = 10.0

    def __init__(self, client: Redis, partitions: Partitions) -> None:
        self._client = client
        self._scripts = SystemScripts(client)
        self._partitions = partitions
        self._figures: dict[str, Figures] = {}
        self._set_aside: dict[str, frozenset[str]] = {}
        """The newest quarantined jobs that were logged, by partition."""

    async def run(self, partition: str) -> None:
        self._figures[partition] = await read_figures(self._scripts, self._partitions.keys(partition))
        self._show(list(self._figures.values()))
        await self._report_quarantine(partition)

    async def _report_quarantine(self, partition: str) -> None:
        """One line for each newly quarantined job; at its start a reaper names those that it finds."""
        if not self._figures[partition].quarantined:
            self._set_aside.pop(partition, None)
            return
        key = f"{self._partitions.keys(partition).root}quarantine"
        newest = frozenset(text(job) for job in await self._client.zrevrange(key, 0, _NEWEST - 1))
        for job in sorted(newest - self._set_aside.get(partition, frozenset())):
            log.error("job.quarantined", job=job, partition=partition)
        self._set_aside[partition] = newest

    @staticmethod
    def _show(figures: list[Figures]) -> None:
        waiting: dict[Inbox, int] = defaultdict(int)
        oldest_s: dict[tuple[str, Lane], float] = defaultdict(float)
        for partition in figures:
            for inbox, count in partition.waiting.items():
                waiting[inbox] += count
                place = (inbox[0], inbox[1])
                oldest_s[place] = max(oldest_s[place], partition.oldest_s.get(inbox, 0.0))
        for inbox, count in waiting.items():
            WAITING.labels(*inbox).set(count)
        for place, age_s in oldest_s.items():
            OLDEST.labels(*place).set(age_s)
        JOBS.labels("queued").set(sum(waiting.values()))
        JOBS.labels("running").set(sum(partition.running for partition in figures))
        JOBS.labels("delayed").set(sum(partition.delayed for partition in figures))
        JOBS.labels("held").set(sum(partition.held for partition in figures))
        DEAD.set(sum(partition.dead for partition in figures))
        QUARANTINED.set(sum(partition.quarantined for partition in figures))


def show_workers(workers: list[WorkerFacts]) -> None:
    """Those that take: neither draining nor kept for quarantined jobs."""
    taking = [worker for worker in workers if not worker.draining and not worker.quarantine]
    for stage, lane in ((stage, lane) for stage, lanes in LANES.items() for lane in lanes):
        found = [worker for worker in taking if (worker.stage, worker.lane) == (stage, lane)]
        WORKERS.labels(stage, lane).set(len(found))
        SLOTS.labels(stage, lane).set(sum(worker.slots for worker in found))
