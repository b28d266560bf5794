"""Stops jobs that stand still: one timer for all jobs of an actor."""

import asyncio
import time
from collections.abc import Mapping

from actors.kernel.execution import Execution
from actors.kernel.handler import Task

LOOK_S = 1.0
"""Longest pause between two looks at the jobs' clocks."""
SHORTEST_PAUSE_S = 0.001
"""An event loop may call a little before the time."""


class Watchdog:
    """Looks at the jobs that run, as long as any does."""

    def __init__(self, running: Mapping[Task, Execution], stall_timeout_s: float) -> None:
        self._running = running
        self._stall_timeout_s = stall_timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self._look_at_s = 0.0
        """When the next look is due (monotonic)."""

    def begin(self) -> None:
        """Called when jobs have begun. None of them stands still before a look that is due already."""
        if self._timer is None:
            self._look_in(min(self._stall_timeout_s, LOOK_S))

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_in(self, pause_s: float) -> None:
        pause_s = max(pause_s, SHORTEST_PAUSE_S)
        self._look_at_s = time.monotonic() + pause_s
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = time.monotonic()
        overslept_s = now_s - self._look_at_s
        pause_s = LOOK_S
        for task, execution in self._running.items():
            if overslept_s > LOOK_S:
                # This process was stopped, or its machine was: the job had no chance to move.
                task.moved_at_s = min(task.moved_at_s + overslept_s, now_s)
            if not execution.watched:
                continue
            left_s = task.moved_at_s + self._stall_timeout_s - now_s
            if left_s <= 0:
                execution.stalled()
            else:
                pause_s = min(pause_s, left_s)
        if self._running:
            self._look_in(pause_s)
