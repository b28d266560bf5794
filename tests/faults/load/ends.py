"""Which ends the plan of a job allows, as long as nothing else happens. Pure.

A fault may add to them: a job whose workers are killed from outside too often fails as well.
"""

from collections.abc import Sequence

from actors.kernel import State
from tests.faults.house.times import CRASH_BUDGET, ERROR_BUDGET
from tests.faults.plan import Errs, Hangs, JobPlan, Kills, Media, Refuses, Splits, Step, Works

SHORT_LIFE_S = 600.0
"""A deadline beyond it is not met within a run."""


def natural_end(steps: Sequence[Step]) -> State:
    """How a job with these steps ends if it is left alone."""
    return State.COMPLETED if all(_succeeds(step) for step in steps) else State.FAILED


def allowed_ends(job: JobPlan) -> frozenset[State]:
    """The terminal states that a job may be in when the run is over."""
    alone = _alone(job)
    ends = set(alone)
    if job.deadline_s is not None and job.deadline_s < SHORT_LIFE_S:
        # Less than the shortest time the work can take: only what fails on the way does not expire.
        if job.deadline_s < _least_s(job):
            ends.discard(State.COMPLETED)
        ends.add(State.EXPIRED)
    if job.cancel_after_s is not None:
        ends.add(State.CANCELLED)
    if job.replayed and ends & {State.FAILED, State.CANCELLED, State.EXPIRED}:
        # The second time there is no deadline worth mentioning.
        ends |= alone
    return frozenset(ends)


def allowed_child_ends(job: JobPlan, numbers: Sequence[int]) -> frozenset[State]:
    """The same for the child `<job>.<n>.<m>…` of a scripted job, by its numbers. Raises KeyError if none is planned."""
    if isinstance(job.work, Media):
        raise KeyError(numbers)
    steps: Sequence[Step] = job.work.steps
    for number in numbers:
        families = [step.children for step in steps if isinstance(step, Splits)]
        # All splits of a job number their children from 1, so a job has one split.
        if len(families) != 1 or not 0 < number <= len(families[0]):
            raise KeyError(numbers)
        steps = families[0][number - 1]
    ends = {natural_end(steps)}
    if allowed_ends(job) != {State.COMPLETED} or len(numbers) > 1:
        # The end of a parent ends its children.
        ends.add(State.CANCELLED)
    if job.deadline_s is not None and job.deadline_s < SHORT_LIFE_S:
        ends.add(State.EXPIRED)
    return frozenset(ends)


def _alone(job: JobPlan) -> frozenset[State]:
    if isinstance(job.work, Media):
        return frozenset(State(end) for end in job.work.ends)
    return frozenset({natural_end(job.work.steps)})


def _succeeds(step: Step) -> bool:
    match step:
        case Works():
            return True
        case Errs(times=times) | Hangs(times=times):
            return times < ERROR_BUDGET
        case Kills(times=times):
            return times < CRASH_BUDGET
        case Refuses():
            return False
        case Splits():
            return step.on_child_failure == "go_on" or all(
                natural_end(steps) == State.COMPLETED for steps in step.children
            )


def _least_s(job: JobPlan) -> float:
    """The shortest time that the work of a job takes."""
    return 0.0 if isinstance(job.work, Media) else sum(_lasts_s(step) for step in job.work.steps)


def _lasts_s(step: Step) -> float:
    match step:
        case Works(lasts_s=lasts_s):
            return lasts_s
        case Errs(times=times, lasts_s=lasts_s):
            return lasts_s * (times + 1)
        case Splits(children=children):
            return max(sum(_lasts_s(step) for step in steps) for steps in children)
        case Kills() | Hangs() | Refuses():
            return 0.0
