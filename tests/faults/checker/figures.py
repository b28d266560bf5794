"""What one run did, in figures."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from tests.faults.checker.evidence import Evidence
from tests.faults.checker.executions import extra
from tests.faults.checker.violation import Violation
from tests.faults.history import Event, ExecutionStarted, FaultBegan, FaultPassed, Frame, Missing, Refused, WatcherLeft
from tests.faults.leavings import Leavings
from tests.faults.plan import Plan


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Counts are of what happened and not of what was planned."""

    seed: int
    profile: str
    server: str
    """Version of Redis."""
    topology: str
    fsync: str
    ffmpeg: str
    jobs: int
    """Accepted from clients."""
    children: int
    ends: dict[str, int]
    """State to jobs and children in it."""
    faults: dict[str, int]
    """Name to how many happened."""
    deaths: int
    """Processes that ended before the run did."""
    executions: int
    """Of scripted stages."""
    extra: int
    """Of them, those that repeated a stage which was lost or given back."""
    stages: int
    """Starts of stages, media included, by the jobs' own events."""
    resubmitted: int
    """Submissions that a power failure undid."""
    refused: int
    """Answers by which a client was sent away for a while."""
    losses: int
    """Times at which something acknowledged may have been lost."""
    watchers: int
    frames: int
    resyncs: int
    violations: int
    seconds: float

    def line(self) -> str:
        """For people who wait for it."""
        return (
            f"seed {self.seed}, {self.profile}, Redis {self.server}: {self.jobs} jobs and {self.children} children,"
            f" {sum(self.faults.values())} faults, {self.deaths} processes died, {self.stages} stages started,"
            f" {self.extra} executions repeated, {self.resubmitted} resubmitted, {self.frames} frames with"
            f" {self.resyncs} resyncs, {self.violations} violations, {self.seconds:.0f} s"
        )


def figures(
    plan: Plan,
    history: Sequence[Event],
    leavings: Leavings,
    violations: Sequence[Violation] = (),
    server: str = "",
    seconds: float = 0.0,
) -> Figures:
    """Counts one run."""
    evidence = Evidence(plan, history, leavings)
    profile, jobs = plan.profile, leavings.jobs
    last = {process.name: process.ended_at_s for process in evidence.processes}
    return Figures(
        seed=plan.seed,
        profile=profile.name,
        server=server,
        topology=profile.topology,
        fsync=profile.fsync,
        ffmpeg=profile.ffmpeg,
        jobs=len(evidence.submissions),
        children=sum("." in job for job in jobs),
        ends=dict(sorted(Counter(facts.fields.get("state", "") for facts in jobs.values()).items())),
        faults=dict(sorted(Counter(fault.name for fault in _struck(evidence)).items())),
        deaths=sum(process.ended_at_s < last[process.name] for process in evidence.processes),
        executions=sum(1 for _ in evidence.all(ExecutionStarted)),
        extra=extra(evidence),
        stages=sum(event["type"] == "job.started" for facts in jobs.values() for event in facts.log),
        resubmitted=len({event.job for event in evidence.all(Missing)}),
        refused=sum(1 for _ in evidence.all(Refused)),
        losses=len({loss.at_s for job in jobs for loss in evidence.losses_of(job)}),
        watchers=sum(1 for _ in evidence.all(WatcherLeft)),
        frames=sum(1 for _ in evidence.all(Frame)),
        resyncs=sum(frame.event == "resync" for frame in evidence.all(Frame)),
        violations=len(violations),
        seconds=seconds,
    )


def _struck(evidence: Evidence) -> list[FaultBegan]:
    """Faults that hit something: a victim may be gone, or not be one, when it comes to the blow."""
    missed = {event.number for event in evidence.all(FaultPassed)}
    return [event for event in evidence.all(FaultBegan) if event.number not in missed]
