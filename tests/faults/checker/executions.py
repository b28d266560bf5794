"""Executions of scripted stages: none beside another without a reason of ours, and each fence once."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from tests.faults.checker.causes import cause, silences_of
from tests.faults.checker.evidence import Evidence, Execution, events_of
from tests.faults.history import ReplayAnswered

Found = tuple[str, str | None]
REPEATED = ("error", "throttled", "kills", "refused")
"""Ends after which the plan itself has the stage started again."""
FINAL = ("done", "split", "refused")
"""Ends after which the stage is over: started again only by a replay, or when the end did not arrive."""


def fences_are_unique(evidence: Evidence) -> Iterator[Found]:
    """No fence is granted twice: no two executions of a job have the same, whatever Redis forgot."""
    for job, executions in evidence.executions.items():
        for fence, times in Counter(execution.started.fence for execution in executions).items():
            if times > 1:
                yield f"{times} executions have the fence {fence}", job


def started_twice(evidence: Evidence) -> Iterator[Found]:
    """P2: a stage whose worker keeps beating is never started twice, and one that is over is not started again.

    A second start needs a cause that hit the first one's worker (causes.py has the table), or a replay in between.
    """
    for job, executions in evidence.executions.items():
        for stage in sorted({execution.started.stage for execution in executions}):
            mine = [execution for execution in executions if execution.started.stage == stage]
            for before, after in pairwise(mine):
                message = _unfounded(evidence, before, after)
                if message:
                    yield f"{stage} was started twice without cause: {message}", job


def no_bugs(evidence: Evidence) -> Iterator[Found]:
    """No handler met what cannot be: a broken chain of fences, a parent that went on too early."""
    for job, executions in evidence.executions.items():
        for execution in executions:
            if execution.ended is not None and execution.ended.how == "bug":
                yield f"{execution.started.stage} under {execution.started.fence} met what cannot be", job


def extra(evidence: Evidence) -> int:
    """Executions beyond those that plans need: starts after a stage was lost or given back, not after its errors."""
    count = 0
    for executions in evidence.executions.values():
        for before, after in pairwise(sorted(executions, key=lambda one: (one.started.stage, one.started.at_s))):
            same = before.started.stage == after.started.stage
            how = before.ended.how if before.ended else None
            count += same and (how not in REPEATED or before.ended_at_s > after.started.at_s)
    return count


def _unfounded(evidence: Evidence, before: Execution, after: Execution) -> str | None:
    at_s = after.started.at_s
    overlaps = before.ended_at_s > at_s
    over = before.ended is not None and before.ended.how in FINAL
    if not overlaps and not over:
        return None
    if cause(evidence, before, at_s) or _replayed_between(evidence, before.started.job, before.started.at_s, at_s):
        return None
    if after.takes < before.takes and _told_late(evidence, before, after):
        return None
    how = "while it ran" if overlaps else f"after it was {before.ended.how if before.ended else ''}"
    return f"under {after.started.fence} {how} under {before.started.fence}"


def _told_late(evidence: Evidence, before: Execution, after: Execution) -> bool:
    """Whether the later start is of an earlier grant, of which its worker heard only when its silence was over."""
    process = evidence.process_of(after.started.pid, after.started.at_s)
    return process is not None and any(silences_of(evidence, process, before.started.at_s, after.started.at_s))


def _replayed_between(evidence: Evidence, job: str, from_s: float, to_s: float) -> bool:
    """Whether the job, or the one it is a descendant of, may have begun again between the two.

    Any answer will do: the first may have been lost, and the next says that there is nothing to replay. The log says
    that it happened, unless a power failure undid it.
    """
    facts = evidence.leavings.jobs.get(job)
    ancestors = {job} | {job.rsplit(".", depth)[0] for depth in range(1, job.count(".") + 1)}
    asked = [
        event
        for event in evidence.all(ReplayAnswered)
        if event.job in ancestors and event.asked_s <= to_s and from_s <= event.at_s
    ]
    told = facts is not None and bool(events_of(facts, "job.replayed"))
    return any(told or evidence.undone(job, event.asked_s, event.at_s) is not None for event in asked)
