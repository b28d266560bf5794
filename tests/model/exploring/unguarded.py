"""Partitions of which one guard has been taken away: exploration must find what it is good for.

Each is one line of a script less. What goes wrong then is found within the bounds that stand beside it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from actors.kernel.states import TERMINAL, State
from tests.model import Job
from tests.model.exploring.exploration import Bounds
from tests.model.exploring.partition import Hint, Partition


class CommitsOfAnyFence(Partition):
    """`commit` takes whatever fence it is given for the right one."""

    def _standing(self, verb: str, name: str, fence: str) -> tuple[str, Job | None]:
        job = self.jobs[name]
        status, found = super()._standing(verb, name, fence)
        return super()._standing(verb, name, job.fence) if (verb, status) == ("commit", "FENCED") else (status, found)


class BeatsOfAnyFence(Partition):
    """`beat` renews a lease for whoever asks."""

    def _beat(self, name: str, fence: str, percent: float | None) -> str:
        return super()._beat(name, self.jobs[name].fence, percent)


class GrantsByStaleHints(Partition):
    """`take` does not look whether a hint is the one of a job that waits."""

    def fits(self, entry: Hint, job: Job, inbox: str) -> bool:
        return job.state not in TERMINAL


class CommitsWhatIsCancelled(Partition):
    """`commit` does not look at the cancel flag."""

    def _standing(self, verb: str, name: str, fence: str) -> tuple[str, Job | None]:
        status, job = super()._standing(verb, name, fence)
        runs = job is not None and job.state == State.RUNNING
        return ("OK" if runs and (verb, status) == ("commit", "CANCELLED") else status), job


class ForgetsItsAnswers(Partition):
    """No end is answered ALREADY."""

    def _standing(self, verb: str, name: str, fence: str) -> tuple[str, Job | None]:
        status, job = super()._standing(verb, name, fence)
        return ("FENCED" if status == "ALREADY" else status), job


class TakesAnyWaitForLate(Partition):
    """A job that waits under its last fence is taken for one that was reaped, whatever ended that lease."""

    def _standing(self, verb: str, name: str, fence: str) -> tuple[str, Job | None]:
        status, job = super()._standing(verb, name, fence)
        waits = job is not None and job.fence == fence and job.state == State.QUEUED
        return ("LATE" if waits and status in ("ALREADY", "FENCED") else status), job


class ReapsNothing(Partition):
    """`reap` requeues nothing."""

    def reap(self, names: Iterable[str]) -> dict[str, str]:
        return {}


class ReapsWithoutHint(Partition):
    """`reap` makes the job queued and gives it no hint."""

    def queue(self, job: Job) -> None:
        if not job.ended.startswith("reap "):
            super().queue(job)


class MendsNothing(Partition):
    """`reconcile` repairs nothing."""

    def _mended(self) -> Iterable[tuple[str, str]]:
        self.damaged = False
        return ()


class PromotesNothing(Partition):
    """`promote` queues nothing."""

    def promote(self, names: Iterable[str]) -> list[str]:
        return []


class HasEndlessBudgets(Partition):
    """`reap` does not look at the budget of crashes."""

    def __init__(self, crash_budget: int) -> None:
        super().__init__(99)


class ChargesAReturn(Partition):
    """`release` costs a crash."""

    def _come_back(self, job: Job, verb: str) -> None:
        job.crashes += verb == "release"
        super()._come_back(job, verb)


class ResumesWhatIsTaken(Partition):
    """A beat under a reaped fence gives the lease back although another worker has taken the job."""

    def resume(self, job: Job, fence: str) -> None:
        if job.ended == f"reap {fence}" and job.state == State.RUNNING:
            job.fence = fence
        super().resume(job, fence)

    def _beat(self, name: str, fence: str, percent: float | None) -> str:
        job = self.jobs[name]
        if job.ended == f"reap {fence}" and job.state == State.RUNNING:
            return "OK"
        return super()._beat(name, fence, percent)


class OpensWhatHasEnded(Partition):
    """`beat` does not look whether the job has ended."""

    def _beat(self, name: str, fence: str, percent: float | None) -> str:
        job = self.jobs[name]
        if job.fence == fence and job.state in TERMINAL:
            job.state, job.ended = State.RUNNING, ""
            self.rows[name] = "fresh"
        return super()._beat(name, fence, percent)


class ReapsWhatIsBeaten(Partition):
    """`reap` takes leases that have not run out, and charges nobody: workers and reaper take turns for ever."""

    def reap(self, names: Iterable[str]) -> dict[str, str]:
        return super().reap(self.of_state(State.RUNNING))

    def _reap(self, job: Job) -> str:
        job.crashes -= 1
        return super()._reap(job)


class Unguarded(NamedTuple):
    """What is missing, and what it costs."""

    kind: type[Partition]
    rule: str
    bounds: Bounds


SMALL = Bounds(jobs=1, faults=1)
UNGUARDED = (
    Unguarded(CommitsOfAnyFence, "fence", SMALL),
    Unguarded(BeatsOfAnyFence, "one lease", SMALL),
    Unguarded(GrantsByStaleHints, "one lease", SMALL),
    Unguarded(CommitsWhatIsCancelled, "cancel", Bounds(jobs=1, faults=0)),
    Unguarded(ForgetsItsAnswers, "repeat", SMALL),
    Unguarded(TakesAnyWaitForLate, "one commit", SMALL),
    Unguarded(ReapsNothing, "end", SMALL),
    Unguarded(ReapsWithoutHint, "found", SMALL),
    Unguarded(MendsNothing, "found", SMALL),
    Unguarded(PromotesNothing, "end", Bounds(jobs=1, faults=0)),
    Unguarded(HasEndlessBudgets, "budget", Bounds(jobs=1, faults=3, kinds=("workers",), cancels=0)),
    Unguarded(ChargesAReturn, "charge", SMALL),
    Unguarded(ResumesWhatIsTaken, "one lease", SMALL),
    Unguarded(OpensWhatHasEnded, "terminal", SMALL),
    Unguarded(ReapsWhatIsBeaten, "cycle", Bounds(jobs=1, faults=0)),
)
