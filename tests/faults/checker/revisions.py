"""The revisions of a job: its log against its hash."""

from collections.abc import Iterator

from tests.faults.checker.evidence import Evidence

Found = tuple[str, str | None]


def log_contiguous(evidence: Evidence) -> Iterator[Found]:
    """P4: every durable event of a job is in its log, under revisions from 1 without a gap, up to that of its hash.

    The last event's id is the hash's `last_event`, ids are unique, and each event names its own job.
    """
    for job, facts in evidence.leavings.jobs.items():
        revisions = [int(event["rev"]) for event in facts.log]
        known = int(facts.fields.get("rev") or 0)
        if revisions != list(range(1, known + 1)):
            yield f"its hash is at revision {known} and its log has {_told(revisions)}", job
            continue
        last = facts.log[-1]["id"] if facts.log else ""
        if facts.fields.get("last_event") != last:
            yield f"its last event is {facts.fields.get('last_event')} in its hash and {last} in its log", job
        if len({event["id"] for event in facts.log}) != len(facts.log):
            yield "two of its events have one id", job
        if any(event["job"] != job for event in facts.log):
            yield "its log has events of another job", job


def _told(revisions: list[int]) -> str:
    return f"{len(revisions)} events, {revisions[:3]} … {revisions[-3:]}" if len(revisions) > 6 else str(revisions)
