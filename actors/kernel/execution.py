"""One job in one worker: run the handler, watch it, end its lease exactly once."""

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum

import msgspec
import structlog

from actors.kernel import telemetry
from actors.kernel.gather import Gather
from actors.kernel.handler import Done, FailurePolicy, Handler, Next, Result, Split, Stalled, Task
from actors.kernel.items import Commit, End, Fail, Pulse, Release, check_bodies
from actors.kernel.worker import Worker

STOPPING = b'{"code":"WORKER_STOPPING","message":"The worker was stopped; the step starts again elsewhere."}'
CANCELLING = b'{"code":"CANCELLING","message":"The job is being cancelled."}'
LOOK_S = 1.0
"""Longest pause of the stall watchdog between two looks at its clock."""
log = structlog.get_logger("kernel.execution")


class Stop(StrEnum):
    """Why a handler was stopped before its end."""

    CANCEL = "cancel"
    DEADLINE = "deadline"
    FENCED = "fenced"
    STALLED = "stalled"
    GIVE_BACK = "give_back"


class Ends(msgspec.Struct):
    """The three ways to end a lease, each gathering what waits at the same moment."""

    commit: Gather[Commit]
    fail: Gather[Fail]
    release: Gather[Release]


class NotAResult(TypeError):
    """A handler returned something outside the closed union: a bug of the stage."""


class Watch(msgspec.Struct, frozen=True):
    """How long a handler may stand still, and may take to end once it was stopped."""

    stall_timeout_s: float
    kill_grace_s: float


class Execution:
    """The life of one grant."""

    def __init__(
        self,
        task: Task,
        handler: Handler,
        policy: FailurePolicy,
        ends: Ends,
        partition: str,
        watch: Watch,
        abandon: Callable[[], None],
    ) -> None:
        self.task = task
        self._handler = handler
        self._policy = policy
        self._ends = ends
        self._partition = partition
        self._watch_for = watch
        self._abandon = abandon
        """Stops the beats: called when a stopped handler does not end within the grace."""
        self._stop: Stop | None = None
        """The first reason to stop. Written once, by `_halt`."""
        self._stopped = asyncio.Event()

    @staticmethod
    def ends(worker: Worker) -> Ends:
        return Ends(Gather(worker.commit), Gather(worker.fail), Gather(worker.release))

    def on_pulse(self, pulse: Pulse) -> None:
        """What a beat answered."""
        if pulse is Pulse.CANCEL:
            self._halt(Stop.CANCEL)
        elif pulse is Pulse.DEADLINE:
            self._halt(Stop.DEADLINE)
        elif pulse is Pulse.FENCED:
            self._halt(Stop.FENCED)

    def give_back(self) -> None:
        self._halt(Stop.GIVE_BACK)

    def _halt(self, reason: Stop) -> None:
        if self._stop is None:
            self._stop = reason
            self.task.cancelled.set()
            self._stopped.set()

    async def run(self) -> None:
        """Runs to the end. Never raises: an end that could not be sent is the reaper's to find."""
        started_at_s = time.monotonic()
        work = asyncio.create_task(self._work(), name=f"handler-{self.task.job}")
        await self._watch(work)
        try:
            how, end = await self._end(work)
        except Exception:
            log.exception("stage.end_unsent", job=self.task.job, stage=self.task.stage, fence=self.task.fence)
            return
        telemetry.stage_ended(self.task, how, end, time.monotonic() - started_at_s)

    async def _work(self) -> Result:
        result = await self._handler.handle(self.task)
        if not isinstance(result, Next | Split | Done):
            raise NotAResult(type(result).__name__)
        check_bodies(result.result if isinstance(result, Done) else result.input)
        return result

    async def _watch(self, work: asyncio.Task[Result]) -> None:
        stopped = asyncio.ensure_future(self._stopped.wait())
        while not work.done() and not stopped.done():
            looked_at_s = time.monotonic()
            left_s = self.task.moved_at_s + self._watch_for.stall_timeout_s - looked_at_s
            if left_s <= 0:
                self._halt(Stop.STALLED)
            pause_s = min(max(left_s, 0), LOOK_S)
            await asyncio.wait({work, stopped}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
            now_s = time.monotonic()
            overslept_s = now_s - looked_at_s - pause_s
            if overslept_s > LOOK_S:
                # This process was stopped, or its machine was: the job had no chance to move.
                self.task.moved_at_s = min(self.task.moved_at_s + overslept_s, now_s)
        stopped.cancel()
        if work.done():
            return
        work.cancel()
        await asyncio.wait({work}, timeout=self._watch_for.kill_grace_s)
        if not work.done():
            log.error("stage.unstoppable", job=self.task.job, stage=self.task.stage, fence=self.task.fence)
            self._abandon()
            await asyncio.wait({work})

    async def _end(self, work: asyncio.Task[Result]) -> tuple[str, End | None]:
        if self._stop in (Stop.FENCED, Stop.DEADLINE):
            _read_outcome(work)
            return str(self._stop), None
        failure = _read_outcome(work)
        if failure is None:
            return "commit", await self._commit(work.result())
        if self._stop is Stop.CANCEL:
            return "cancel", await self._release(CANCELLING)
        if self._stop is Stop.GIVE_BACK:
            return "release", await self._release(STOPPING)
        if self._stop is Stop.STALLED:
            failure = Stalled("STALLED", f"nothing moved for {self._watch_for.stall_timeout_s} s")
        return "fail", await self._fail(failure)

    async def _commit(self, result: Result) -> End:
        task = self.task
        if isinstance(result, Next | Split):
            commit = Commit(
                job=task.job,
                fence=task.fence,
                kind="next" if isinstance(result, Next) else "split",
                stage=result.stage,
                lane=result.lane,
                body=result.input,
                refs=result.refs,
                percent=task.percent,
                rescue=result.rescue,
                reach=100.0 if isinstance(result, Next) else result.reach,
            )
        else:
            commit = Commit(task.job, task.fence, "done", "", "", result.result, (), result.event)
        return await self._ends.commit.end(self._partition, commit)

    async def _release(self, reason: bytes) -> End:
        return await self._ends.release.end(self._partition, Release(self.task.job, self.task.fence, reason))

    async def _fail(self, failure: BaseException) -> End:
        task = self.task
        decided = self._policy.decide(task.stage, task.attempt, failure)
        telemetry.stage_failed(task, decided, failure)
        return await self._ends.fail.end(
            self._partition,
            Fail(task.job, task.fence, decided.cls, decided.delay_ms, decided.budget, decided.error, decided.reason),
        )


def _read_outcome(work: asyncio.Task[Result]) -> BaseException | None:
    """The failure of a finished handler, or None when it has a result."""
    return asyncio.CancelledError() if work.cancelled() else work.exception()
