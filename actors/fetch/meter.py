"""Progress of a transfer: bytes, speed and time left, from the counts that arrive."""

import time
from collections.abc import Callable

from actors.kernel import Task
from actors.media.spans import overall
from actors.media.task import Progress, Spans, encode

REPORT_EVERY_S = 0.2
_SMOOTHING_S = 3.0
_SPEED_AFTER_S = 0.5


class Meter:
    """Turns byte counts into reports of a task. `share` is the part of the stage that the transfer is."""

    def __init__(self, task: Task, spans: Spans, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._task = task
        self._spans = spans
        self._share = share
        self._clock = clock
        self._started_s = self._at_s = clock()
        self._reported_s = float("-inf")
        self._bytes = 0
        self._speed: float | None = None

    def update(self, done: int, total: int | None, *, fraction: float | None = None) -> None:
        """`done` bytes are here, of `total` if known. `fraction` replaces done/total where bytes do not tell."""
        now_s = self._clock()
        moved = done > self._bytes
        self._measure(done, now_s)
        if fraction is None and total:
            fraction = done / total
        finished = fraction is not None and fraction >= 1.0
        if now_s - self._reported_s < REPORT_EVERY_S and not finished:
            return
        self._reported_s = now_s
        percent = None if fraction is None else overall(self._spans, self._task.stage, fraction * self._share)
        progress = Progress(
            stage=self._task.stage,
            eta_s=self._eta_s(done, total, fraction, now_s),
            speed=None if self._speed is None else round(self._speed, 1),
            bytes_done=done,
            bytes_total=total,
        )
        self._task.report(percent, encode(progress), moved=moved)

    def _measure(self, done: int, now_s: float) -> None:
        passed_s = now_s - self._at_s
        if done < self._bytes:  # started again from the beginning
            self._bytes, self._at_s, self._speed = done, now_s, None
            return
        if passed_s < REPORT_EVERY_S:
            return
        speed = (done - self._bytes) / passed_s
        weight = min(passed_s / _SMOOTHING_S, 1.0)
        self._speed = speed if self._speed is None else self._speed + (speed - self._speed) * weight
        self._bytes, self._at_s = done, now_s

    def _eta_s(self, done: int, total: int | None, fraction: float | None, now_s: float) -> float | None:
        elapsed_s = now_s - self._started_s
        if elapsed_s < _SPEED_AFTER_S:
            return None
        if total is not None and self._speed:
            return round(max(total - done, 0) / self._speed, 1)
        if fraction:
            return round(elapsed_s * max(1.0 - fraction, 0.0) / fraction, 1)
        return None
