"""What the operator sees of stages: each event writes its log line and its metric together.

A stage ends many thousand times a second, so what each event needs is looked up once: children of metrics, and the
logger, which else is put together anew for each line, also for one that is not written.
"""

from collections.abc import Callable

import structlog
from prometheus_client import Counter, Gauge, Histogram

from actors.kernel.handler import Failure, StageFailure, Task
from actors.kernel.items import End

RUNNING = Gauge("reelway_stage_running", "Stages that this process is working on.", ["stage"])
ENDED = Counter("reelway_stage_ended_total", "Stages that ended, and the kernel's answer.", ["stage", "how", "end"])
FAILED = Counter("reelway_stage_failed_total", "Errors of handlers, by class and code.", ["stage", "cls", "code"])
DURATION = Histogram(
    "reelway_stage_duration_seconds",
    "Time from take to the answered end.",
    ["stage"],
    buckets=(0.01, 0.05, 0.25, 1, 5, 15, 60, 300, 1800, 7200),
)
Running = Callable[[], int]
_running: dict[str, tuple[Running, ...]] = {}
"""Stage to what counts its jobs: there may be several actors of one stage in a process. Replaced, never changed, as
another thread reads it when metrics are asked for."""


class StageTelemetry:
    """Events of one actor. Made when it starts: logging is configured by then."""

    def __init__(self, stage: str, running: Running) -> None:
        self._stage = stage
        self._running = running
        self._log = structlog.get_logger("kernel.stage").bind()
        self._duration = DURATION.labels(stage)
        self._ended: dict[tuple[str, End | None], Counter] = {}
        _running[stage] = (*_running.get(stage, ()), running)
        RUNNING.labels(stage).set_function(lambda: sum(count() for count in _running[stage]))

    def close(self) -> None:
        """The actor works on nothing any more."""
        _running[self._stage] = tuple(count for count in _running[self._stage] if count != self._running)

    def started(self, task: Task) -> None:
        grant = task.grant
        self._log.debug("stage.started", job=grant.job, stage=grant.stage, fence=grant.fence, attempt=grant.attempt)

    def ended(self, task: Task, how: str, end: End | None, duration_s: float) -> None:
        counter = self._ended.get((how, end))
        if counter is None:
            counter = self._ended[how, end] = ENDED.labels(self._stage, how, end or "none")
        counter.inc()
        self._duration.observe(duration_s)
        grant = task.grant
        self._log.info(
            "stage.ended",
            duration_s=round(duration_s, 3), job=grant.job, stage=grant.stage, fence=grant.fence, how=how, end=end,
        )  # fmt: skip

    def failed(self, task: Task, decided: Failure, failure: BaseException) -> None:
        FAILED.labels(task.stage, decided.cls, decided.code).inc()
        facts = {"job": task.job, "stage": task.stage, "fence": task.fence, "cls": decided.cls, "code": decided.code}
        if not isinstance(failure, StageFailure):
            self._log.error("stage.bug", exc_info=failure, **facts)
        elif decided.cls == "permanent":
            # Mostly what a client asked for; nothing for the operator to do.
            self._log.info("stage.refused", detail=failure.detail, **facts)
        else:
            self._log.warning("stage.failed", detail=failure.detail, **facts)
