"""Which lanes have had no live worker for a long time: their work goes to the other lane, where the job allows it.

Who is there is said by the workers themselves. How long nobody was there is counted by this reaper's own monotonic
clock, from the first answer on, and anew after a gap in the answers: neither a Redis that was away nor a clock that
stepped nor a new reaper moves work too early. The moving is done by `reconcile`.
"""

import time
from collections.abc import Iterable

import structlog

from actors.kernel.presence import WorkerFacts

RESCUED_LANES = (("transcode", "gpu"),)
"""Stage and lane whose work another lane can do."""
LONGEST_GAP_S = 30.0
"""Answers further apart than a worker's row lives prove nothing about the time between them."""
log = structlog.get_logger("reaper")


class Absence:
    """For how long a lane has had no worker that takes from it. Pure: the caller brings the clock."""

    def __init__(self) -> None:
        self._empty_since_s: float | None = None
        self._heard_s: float | None = None

    def hear(self, now_s: float, *, served: bool) -> float:
        """Takes one answer in; returns the seconds of proven absence."""
        gap = self._heard_s is None or now_s - self._heard_s > LONGEST_GAP_S
        self._heard_s = now_s
        if served:
            self._empty_since_s = None
            return 0.0
        if self._empty_since_s is None or gap:
            self._empty_since_s = now_s
        return now_s - self._empty_since_s


class Lanes:
    """What this reaper knows of the lanes. `rescue_s`: absence after which a lane counts as deserted."""

    def __init__(self, rescue_s: float) -> None:
        self._rescue_s = rescue_s
        self._absences = {place: Absence() for place in RESCUED_LANES}
        self.deserted: tuple[str, ...] = ()
        """Queues (`<stage>:<lane>`) without a worker. Written by `look`."""

    def look(self, workers: Iterable[WorkerFacts]) -> None:
        """Takes in who is there now. A worker that drains or serves a quarantine takes nothing from the lane."""
        taking = {(worker.stage, worker.lane) for worker in workers if not worker.draining and not worker.quarantine}
        now_s = time.monotonic()
        absent_s = {place: absence.hear(now_s, served=place in taking) for place, absence in self._absences.items()}
        deserted = tuple(f"{stage}:{lane}" for (stage, lane), s in absent_s.items() if s >= self._rescue_s)
        for queue in set(deserted) - set(self.deserted):
            log.warning("lane.deserted", queue=queue)
        for queue in set(self.deserted) - set(deserted):
            log.info("lane.served", queue=queue)
        self.deserted = deserted
