"""What the operator sees of stages: each event writes its log line and its metric together."""

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
log = structlog.get_logger("kernel.stage")


def stage_started(task: Task) -> None:
    RUNNING.labels(task.stage).inc()
    log.debug("stage.started", job=task.job, stage=task.stage, fence=task.fence, attempt=task.attempt)


def stage_ended(task: Task, how: str, end: End | None, duration_s: float) -> None:
    RUNNING.labels(task.stage).dec()
    ENDED.labels(task.stage, how, end or "none").inc()
    DURATION.labels(task.stage).observe(duration_s)
    facts = {"job": task.job, "stage": task.stage, "fence": task.fence, "how": how, "end": end}
    log.info("stage.ended", duration_s=round(duration_s, 3), **facts)


def stage_failed(task: Task, decided: Failure, failure: BaseException) -> None:
    FAILED.labels(task.stage, decided.cls, decided.code).inc()
    facts = {"job": task.job, "stage": task.stage, "fence": task.fence, "cls": decided.cls, "code": decided.code}
    if not isinstance(failure, StageFailure):
        log.error("stage.bug", exc_info=failure, **facts)
    elif decided.cls == "permanent":
        # Mostly what a client asked for; nothing for the operator to do.
        log.info("stage.refused", detail=failure.detail, **facts)
    else:
        log.warning("stage.failed", detail=failure.detail, **facts)
