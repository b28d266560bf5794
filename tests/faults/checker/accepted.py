"""What was answered with 2xx: submissions, cancels and replays."""

from collections.abc import Iterator

from tests.faults.checker.evidence import Evidence, events_of
from tests.faults.history import CancelAnswered, Missing, ReplayAnswered, TailLost

Found = tuple[str, str | None]


def accepted_once(evidence: Evidence) -> Iterator[Found]:
    """P1: every job of the plan was accepted in the end, exists, and is one job for its key, however often it was sent.

    Only a power failure may lose a submission, one that was answered within its window; the client is then told that
    there is no such job, and its key makes another one.
    """
    missing = {event.job: event.at_s for event in evidence.all(Missing)}
    for number in sorted(evidence.planned):
        jobs = list(dict.fromkeys(event.job for event in evidence.submissions.get(number, [])))
        if not jobs:
            yield f"number {number} of the plan was never accepted", None
            continue
        for job in jobs[:-1]:
            if job in evidence.leavings.jobs:
                yield f"number {number} has two jobs: this one and {jobs[-1]}", job
            elif job not in missing:
                yield (
                    f"number {number} was given another job, {jobs[-1]}, and nobody said that this is gone",
                    job,
                )
        if jobs[-1] not in evidence.leavings.jobs:
            yield f"number {number} was accepted, and its job does not exist", jobs[-1]
    for job, at_s in missing.items():
        if not _may_be_lost(evidence, job, at_s):
            yield "it was accepted, and then there was no such job", job
    for job in evidence.leavings.jobs:
        if evidence.number_of(job) is None:
            yield "nobody submitted it", job


def cancels_kept(evidence: Evidence) -> Iterator[Found]:
    """After a 2xx from cancel a job ends cancelled, unless it is replayed or a power failure undid the cancel."""
    for event in evidence.all(CancelAnswered):
        facts = evidence.leavings.jobs.get(event.job)
        if event.status not in ("cancelled", "flagged") or facts is None:
            continue
        if evidence.undone(event.job, event.asked_s, event.at_s):
            continue
        if not events_of(facts, "job.cancelled"):
            ended = facts.fields.get("state")
            yield f"its cancel was answered {event.status}, and it is {ended} and was never cancelled", event.job
        elif events_of(facts, "job.completed") and not _replayed_after(evidence, event):
            yield f"its cancel was answered {event.status}, and it completed without being replayed", event.job


def replays_kept(evidence: Evidence) -> Iterator[Found]:
    """A replay that was answered with 2xx happened, and none happened that nobody asked for."""
    asked: dict[str, list[ReplayAnswered]] = {}
    for event in evidence.all(ReplayAnswered):
        if event.status == "ok":
            asked.setdefault(event.job, []).append(event)
    for job, facts in evidence.leavings.jobs.items():
        happened = len(events_of(facts, "job.replayed"))
        answers = asked.get(job, [])
        if happened and not _wanted(evidence, job):
            yield f"it was replayed {happened} times, and nobody asked for it", job
        if not happened and any(not evidence.undone(job, event.asked_s, event.at_s) for event in answers):
            yield "its replay was answered with 2xx and did not happen", job


def _may_be_lost(evidence: Evidence, job: str, told_at_s: float) -> TailLost | None:
    first = evidence.first_answers.get(job)
    if first is None:
        return None
    loss = evidence.undone(job, first.asked_s, first.at_s)
    return loss if loss is not None and loss.since_s <= told_at_s else None


def _replayed_after(evidence: Evidence, cancel: CancelAnswered) -> bool:
    return any(
        event.job == cancel.job and event.status == "ok" and event.at_s >= cancel.asked_s
        for event in evidence.all(ReplayAnswered)
    )


def _wanted(evidence: Evidence, job: str) -> bool:
    """Whether a replay of this job or, for a child, of one of its ancestors is in the plan.

    The plan and not the answer: the reply may have been lost, and a parent that spawns again revives its children.
    """
    plan = evidence.plan_of(job)
    return plan is not None and (plan.replayed or "." in job)
