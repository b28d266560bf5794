"""Follows a job to its end and shows each of its stages."""

from collections.abc import Callable

from actors.media.spans import spans_for
from actors.media.task import UPLOAD_PREFIX
from gateway.client.documents import Job, Progress, Reason
from gateway.client.events import HEARTBEAT, Event, Held, Progressed, Retrying, StageDone, Started
from gateway.command.calls import Calls
from gateway.command.failure import CommandFailure, ExitCode
from gateway.command.progress import Display, byte_speed

_PATIENCE_WITH_FAILING = 2


class StageView:
    """Turns a job's percent, which is of the whole job, into bars of its stages."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._spans = spans_for(upload=False)
        self._stage: str | None = None
        self._done: set[str] = set()
        self._reason: Reason | None = None

    def job(self, job: Job) -> None:
        """A snapshot."""
        self._spans = spans_for(upload=(job.source or "").startswith(UPLOAD_PREFIX))
        if job.ended:
            self.end(completed=job.state == "completed")
        elif job.stage is not None:
            self.enter(job.stage)
            self.progress(job.progress)
        self.reason(job.reason)

    def enter(self, stage: str) -> None:
        """The job is at `stage` now; every stage before it is over."""
        if stage == self._stage:
            return
        self._finish_before(stage)
        self._stage = stage
        self._display.show(stage, 0.0)

    def progress(self, progress: Progress) -> None:
        """A report of progress, of the stage it names."""
        stage = progress.stage or self._stage
        if stage is None or stage != self._stage:
            return
        begin, end = self._spans.get(stage, (0.0, 100.0))
        fraction = min(max((progress.percent - begin) / (end - begin), 0.0), 1.0)
        self._display.show(stage, fraction, _speed(stage, progress.speed), progress.eta_s)

    def reason(self, reason: Reason | None) -> None:
        """Why the job does not move, said once."""
        if reason is not None and (self._reason is None or reason.code != self._reason.code):
            self._display.note(f"{reason.message} [{reason.code}]")
        self._reason = reason

    def end(self, *, completed: bool) -> None:
        """The job has ended."""
        if completed:
            self._finish_before(None)
        self._stage = None

    def _finish_before(self, stage: str | None) -> None:
        """Show every stage before `stage` as done, also those that were over before anybody watched."""
        for earlier in self._spans:
            if earlier == stage:
                return
            if earlier not in self._done:
                self._done.add(earlier)
                self._display.show(earlier, 1.0)
                self._display.finish(earlier)


def follow(calls: Calls, job: str, display: Display, failing: Callable[[], tuple[str, ...]] = tuple) -> Job:
    """Show the job until it has ended; the job as it is then.

    `failing` names the roles of an embedded instance that do not start: without them the job would stand still.
    """
    view = StageView(display)
    standing_still = 0
    for event in calls.each(calls.client.watch(job, heartbeats=True)):
        if event.type == HEARTBEAT:
            standing_still = standing_still + 1 if failing() else 0
            if standing_still >= _PATIENCE_WITH_FAILING:
                raise does_not_start(failing())
        _show(view, event)
    return calls.run(calls.client.job(job))


def does_not_start(roles: tuple[str, ...]) -> CommandFailure:
    """The failure of an embedded instance whose `roles` end as soon as they are started."""
    return CommandFailure(
        ExitCode.UNREACHABLE,
        "ROLE_DOES_NOT_START",
        f"A part of Reelway ends as soon as it is started: {', '.join(roles)}.",
        "Run `reelway doctor`, and look into the logs in the data directory. The job is kept.",
    )


def _show(view: StageView, event: Event) -> None:
    if event.terminal:
        view.end(completed=event.type == "job.completed")
        return
    match event.data:
        case Job() as job:
            view.job(job)
        case Progressed(progress, reason):
            view.progress(progress)
            view.reason(reason)
        case Started(stage) | StageDone(next=stage):
            view.enter(stage)
        case Retrying(reason) | Held(reason):
            view.reason(reason)


def _speed(stage: str, speed: float | None) -> str:
    if not speed:
        return ""
    return f"{speed:.1f}x" if stage == "transcode" else byte_speed(speed)
