"""From an error to what the kernel does about it, as the error table says."""

import asyncio
import errno
import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import structlog
from prometheus_client import Counter

from actors.kernel import (
    Cancelled,
    Failure,
    Handler,
    Permanent,
    Result,
    StageFailure,
    Stalled,
    Task,
    Throttled,
    Transient,
)
from actors.media.errors import UNKNOWN_CODE, ErrorClass, ErrorTable, MediaError, Rule, draw_delay_s, error_table
from actors.media.task import encode
from actors.storage.room import NO_SPACE

NEEDS_OPERATOR = Counter("reelway_needs_operator_total", "Errors that somebody must look at.", ["stage", "code"])
log = structlog.get_logger("failures")

KernelClass = Literal["transient", "stalled", "throttled", "permanent"]

_FAILURES: Mapping[ErrorClass, type[StageFailure]] = {
    "transient": Transient,
    "throttled": Throttled,
    "permanent": Permanent,
    "stalled": Stalled,
    "cancelled": Cancelled,
}
_CLASSES: tuple[tuple[type[StageFailure], KernelClass], ...] = (
    (Permanent, "permanent"),
    (Throttled, "throttled"),
    (Stalled, "stalled"),
)
_TELL_AGAIN_S = 60.0


class Coded:
    """A handler whose MediaErrors become the kernel's failures, with the class of their code.

    A full disk and other failures of the storage have codes as well; every other exception is a
    bug and passes as it is.
    """

    def __init__(self, handler: Handler) -> None:
        self.stage = handler.stage
        self._handler = handler

    async def handle(self, task: Task) -> Result:
        try:
            return await self._handler.handle(task)
        except MediaError as error:
            raise _as_failure(error) from error
        except OSError as error:
            raise _as_failure(MediaError(_storage_code(error), str(error))) from error


class Met(NamedTuple):
    """For how long a shared cause has been there, and whether the operator should hear of it now."""

    lasted_s: float
    tell: bool


class SharedCauses:
    """Since when this process has met each cause that is the machine's and not one job's.

    One that was not met for twice its longest pause is over. With many jobs waiting, the operator hears of it once a
    minute and not with every job. `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[float, float, float]] = {}
        """Code to when it was met first, when last and when it was told last."""

    def meet(self, rule: Rule) -> Met:
        now_s = self._clock()
        first_s, last_s, told_s = self._seen.get(rule.code, (now_s, now_s, now_s - _TELL_AGAIN_S))
        if now_s - last_s > 2 * rule.cap_s:
            first_s = now_s
        tell = now_s - told_s >= _TELL_AGAIN_S
        self._seen[rule.code] = (first_s, now_s, now_s if tell else told_s)
        return Met(now_s - first_s, tell)


class TablePolicy:
    """The kernel's FailurePolicy. `budgets` are the errors a job may have at each stage."""

    def __init__(
        self,
        budgets: Mapping[str, int],
        table: ErrorTable | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budgets = budgets
        self._table = table or error_table()
        self._shared = SharedCauses(clock)

    def decide(self, stage: str, attempt: int, failure: BaseException) -> Failure:
        """`attempt` counts the errors of the stage before this one. What is not a StageFailure reads as INTERNAL."""
        known = isinstance(failure, StageFailure)
        code = failure.code if isinstance(failure, StageFailure) else UNKNOWN_CODE
        if isinstance(failure, asyncio.CancelledError):
            code = "WORKER_STOPPING"
        rule = self._table.rule(code)
        met = self._shared.meet(rule) if rule.shared else None
        if known and rule.operator:
            NEEDS_OPERATOR.labels(stage, rule.code).inc()
        if known and rule.operator and (met is None or met.tell):
            log.error("stage.needs_operator", stage=stage, code=rule.code, detail=str(failure), attempt=attempt + 1)
        exact = failure.__cause__ if isinstance(failure.__cause__, MediaError) else None
        message = exact.message if exact else None
        suggestion = exact.suggestion if exact else None
        retry_after_s = failure.retry_after_s if isinstance(failure, StageFailure) else None
        return Failure(
            cls=_class_of(failure) if known else "transient",
            code=rule.code,
            delay_ms=round(draw_delay_s(rule, attempt + 1, retry_after_s, met and met.lasted_s) * 1000),
            budget=rule.budget or self._budgets[stage],
            error=encode(self._table.error_body(rule.code, message, suggestion)),
            reason=encode(self._table.reason_body(rule.code, message)),
        )


def _as_failure(error: MediaError) -> StageFailure:
    rule = error_table().rule(error.code)
    return _FAILURES[rule.cls](rule.code, error.detail, error.retry_after_s)


def _class_of(failure: BaseException) -> KernelClass:
    return next((name for kind, name in _CLASSES if isinstance(failure, kind)), "transient")


def _storage_code(error: OSError) -> str:
    if error.errno in NO_SPACE:
        return "DISK_FULL"
    if error.errno == errno.EFBIG:
        return "FILE_TOO_LARGE"
    return "INPUT_MISSING" if isinstance(error, FileNotFoundError) else "STORE_TEMP"
