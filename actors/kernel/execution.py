"""One job in one worker: run the handler, stop it where need be, end its lease exactly once.

A job costs one asyncio task, its handler's. All else is called back: by the task when it has ended, by the gathered
call that ended the lease, by a beat's answer, and by the actor's `Watchdog`. Only a job that is stopped has a second
task, which sees to it that the handler ends.
"""

import asyncio
import time
from collections.abc import Callable
from enum import StrEnum

import msgspec
import structlog

from actors.kernel.gather import Gather
from actors.kernel.handler import Done, FailurePolicy, Handler, Next, Result, Split, Stalled, Task
from actors.kernel.items import Commit, End, Fail, Pulse, Release, check_bodies
from actors.kernel.neighbours import Neighbour, Neighbours, following_grant
from actors.kernel.telemetry import StageTelemetry
from actors.kernel.worker import Worker

STOPPING = b'{"code":"WORKER_STOPPING","message":"The worker was stopped; the step starts again elsewhere."}'
CANCELLING = b'{"code":"CANCELLING","message":"The job is being cancelled."}'
HEARING_TURNS = 2
"""Turns of the event loop in which a handler that listens to `task.cancelled` may act before it is cancelled."""
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

    @staticmethod
    def of(worker: Worker) -> "Ends":
        return Ends(Gather(worker.commit), Gather(worker.fail), Gather(worker.release))

    async def close(self) -> None:
        """Ends what is still in flight."""
        for gather in (self.commit, self.fail, self.release):
            await gather.close()


class NotAResult(TypeError):
    """A handler returned something outside the closed union: a bug of the stage."""


class Watch(msgspec.Struct, frozen=True):
    """How long a handler may stand still, and may take to end once it was stopped."""

    stall_timeout_s: float
    kill_grace_s: float


class Setting(msgspec.Struct, frozen=True):
    """What all jobs of one actor share."""

    handler: Handler
    policy: FailurePolicy
    ends: Ends
    watch: Watch
    telemetry: StageTelemetry
    neighbours: Neighbours
    abandon: Callable[[Task], None]
    """Stops the beats: called when a stopped handler does not end within the grace."""
    ended: Callable[[Task], None]
    """Called once: the end was answered, need not be sent, or cannot be."""


class Execution:
    """The life of one grant. Its ends are called back and never raise: an unsent one is the reaper's to find."""

    __slots__ = ("_host", "_how", "_partition", "_setting", "_started_at_s", "_stop", "_stopping", "_work", "task")

    def __init__(self, task: Task, partition: str, setting: Setting) -> None:
        self.task = task
        self._partition = partition
        self._setting = setting
        self._stop: Stop | None = None
        """The first reason to stop. Written once, by `_halt`."""
        self._stopping: asyncio.Task[None] | None = None
        self._host: Neighbour | None = None
        """Who keeps a place for the job's next stage while the commit is on its way."""
        self._how = ""
        """The verb that ends the lease, or why none does."""

    def start(self) -> None:
        """Begins the handler in the next turn of the event loop."""
        self._started_at_s = time.monotonic()
        self._work = asyncio.create_task(self._handle(), name=self.task.grant.job)
        self._work.add_done_callback(self._worked)

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

    def stalled(self) -> None:
        """Nothing moved for the stall timeout."""
        self._halt(Stop.STALLED)

    @property
    def watched(self) -> bool:
        """Whether its handler runs and was not stopped yet."""
        return self._stop is None and not self._work.done()

    def forget(self) -> None:
        """The actor ends; a handler that cannot be stopped is left alone."""
        if self._stopping is not None:
            self._stopping.cancel()

    def _halt(self, reason: Stop) -> None:
        if self._stop is not None:
            return
        self._stop = reason
        self.task.cancelled.set()
        if not self._work.done():
            self._stopping = asyncio.create_task(self._stop_work(), name=f"stop-{self.task.job}")

    async def _handle(self) -> Result:
        result = await self._setting.handler.handle(self.task)
        if not isinstance(result, (Next, Done, Split)):
            raise NotAResult(type(result).__name__)
        check_bodies(result.result if isinstance(result, Done) else result.input)
        return result

    async def _stop_work(self) -> None:
        for _ in range(HEARING_TURNS):
            await asyncio.sleep(0)
        if self._work.done():
            return
        self._work.cancel()
        await asyncio.wait({self._work}, timeout=self._setting.watch.kill_grace_s)
        if not self._work.done():
            log.error("stage.unstoppable", job=self.task.job, stage=self.task.stage, fence=self.task.fence)
            self._setting.abandon(self.task)

    def _worked(self, work: asyncio.Task[Result]) -> None:
        """The handler has ended, and its lease ends accordingly."""
        try:
            self._end(work)
        except Exception as error:  # noqa: BLE001 - it is written down there
            self._answered(error)

    def _end(self, work: asyncio.Task[Result]) -> None:
        ends, task = self._setting.ends, self.task
        failure = _read_outcome(work)
        if self._stop in (Stop.FENCED, Stop.DEADLINE):
            self._how = str(self._stop)
            self._answered(None)
        elif failure is None:
            self._commit(work.result())
        elif self._stop is Stop.CANCEL:
            self._how = "cancel"
            ends.release.add(self._partition, Release(task.job, task.fence, CANCELLING), self._answered)
        elif self._stop is Stop.GIVE_BACK:
            self._how = "release"
            ends.release.add(self._partition, Release(task.job, task.fence, STOPPING), self._answered)
        else:
            if self._stop is Stop.STALLED:
                failure = Stalled("STALLED", f"nothing moved for {self._setting.watch.stall_timeout_s} s")
            self._how = "fail"
            ends.fail.add(self._partition, self._fail(failure), self._answered)

    def _commit(self, result: Result) -> None:
        self._how = "commit"
        if isinstance(result, Next):
            self._host = self._setting.neighbours.reserve(result.stage, result.lane)
        keep = self._host.worker_name if self._host is not None else ""
        self._setting.ends.commit.add(self._partition, _commit(self.task, result, keep), self._committed)

    def _committed(self, end: End | Exception) -> None:
        result = self._work.result()
        try:
            if self._host is not None and end is End.KEPT and isinstance(result, Next):
                self._host.receive(self._partition, following_grant(self.task.grant, result, self.task.percent))
            elif self._host is not None:
                self._host.give_up()
        finally:
            self._answered(end)

    def _fail(self, failure: BaseException) -> Fail:
        task = self.task
        decided = self._setting.policy.decide(task.stage, task.attempt, failure)
        self._setting.telemetry.failed(task, decided, failure)
        return Fail(task.job, task.fence, decided.cls, decided.delay_ms, decided.budget, decided.error, decided.reason)

    def _answered(self, end: End | Exception | None) -> None:
        """`end`: how the lease stands, None where nobody was asked."""
        task = self.task
        try:
            if isinstance(end, Exception):
                log.error("stage.end_unsent", job=task.job, stage=task.stage, fence=task.fence, exc_info=end)
            else:
                self._setting.telemetry.ended(task, self._how, end, time.monotonic() - self._started_at_s)
        finally:
            self._setting.ended(task)


def _commit(task: Task, result: Result, keep: str) -> Commit:
    grant = task.grant
    if isinstance(result, Done):
        return Commit(grant.job, grant.fence, "done", "", "", result.result, (), result.event)
    reach = 100.0 if isinstance(result, Next) else result.reach
    return Commit(
        job=grant.job,
        fence=grant.fence,
        kind="next" if isinstance(result, Next) else "split",
        stage=result.stage,
        lane=result.lane,
        body=result.input,
        refs=result.refs,
        percent=task.percent if task.percent > grant.percent else None,
        rescue=result.rescue,
        reach=reach,
        keep=keep,
    )


def _read_outcome(work: asyncio.Task[Result]) -> BaseException | None:
    """The failure of a finished handler, or None when it has a result."""
    return asyncio.CancelledError() if work.cancelled() else work.exception()
