"""Duty: what the job hashes say is compared with the streams and sets, and repaired; one round every `reconcile_s`.

The same walk moves work out of lanes that have no worker any more.
"""

import time

import structlog
from prometheus_client import Counter

from actors.kernel import Keeper, Partitions
from actors.reaper.lanes import Lanes

REPAIRED = Counter("reelway_repaired_total", "Jobs whose keys had to be repaired.", ["repair"])
RESCUED = Counter("reelway_rescued_total", "Jobs moved to another lane because theirs had no worker.")
log = structlog.get_logger("reaper")


PAGES, PAGES_WHEN_LATE = 1, 10
"""Pages of a hundred jobs a pass; more in the second half of a round's time, so that many jobs take no longer."""


class Repairs:
    """Some pages of the active jobs a pass while a round is under way. `round_s`: from the begin of one to the next."""

    name = "repairs"
    interval_s = 0.0

    def __init__(self, keeper: Keeper, lanes: Lanes, partitions: Partitions, round_s: float) -> None:
        self._keeper = keeper
        self._lanes = lanes
        self._round_s = round_s
        self._cursors = dict.fromkeys(partitions, "0")
        self._begun_s = dict.fromkeys(partitions, float("-inf"))
        self._deserted: dict[str, tuple[str, ...]] = {}
        """The deserted lanes with which the current round began, by partition."""

    async def run(self, partition: str) -> None:
        now_s = time.monotonic()
        deserted = self._lanes.deserted
        newly = bool(set(deserted) - set(self._deserted.get(partition, ())))
        if newly:
            self._cursors[partition] = "0"
        beginning = self._cursors[partition] == "0"
        if beginning and not newly and now_s - self._begun_s[partition] < self._round_s:
            return
        if beginning:
            self._begun_s[partition] = now_s
            self._deserted[partition] = deserted
        is_late = now_s - self._begun_s[partition] > self._round_s / 2
        for _ in range(PAGES_WHEN_LATE if is_late else PAGES):
            cursor = self._cursors[partition]
            self._cursors[partition], repairs = await self._keeper.reconcile(partition, cursor, deserted)
            for job, repair in repairs.items():
                if repair == "lane":
                    _rescued(job)
                else:
                    _repaired(job, repair)
            if self._cursors[partition] == "0":
                return


def _repaired(job: str, repair: str) -> None:
    REPAIRED.labels(repair).inc()
    log.warning("job.repaired", job=job, repair=repair)


def _rescued(job: str) -> None:
    RESCUED.inc()
    log.info("job.rescued", job=job)
