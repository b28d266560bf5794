"""The course of one job whose worker is disturbed: what the processes said of it, and what follows from that. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

QUIET_S = 30.0
"""How long after the last end a job is still watched for another start."""


class Moment(msgspec.Struct, frozen=True):
    """Something that happened to the job."""

    what: Literal["started", "finished"]
    at_s: float
    """Since the disturbance; what was before it is negative."""
    first: bool
    """Whether it happened on the worker that had the job when it was disturbed."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a job that was disturbed once."""

    starts: int
    early: int
    """Of these, how many beyond the first were before the disturbance: what takes a job that is merely long."""
    ends: int
    """How often its work ran to the end."""
    restarted_s: float | None
    """From the disturbance to the first start after it, on whichever worker."""
    first_ended: bool
    """Whether the worker that had it ran it to the end."""


def read(
    reports: Sequence[Mapping[str, Any]], disturbed_ns: int, workers: Mapping[int, int], first: int
) -> list[Moment]:
    """Reports of a job in the order of their moments. `workers`: process to the worker that it belongs to."""
    course = [
        Moment(report["event"], (report["at_ns"] - disturbed_ns) / 1e9, workers.get(report["process"]) == first)
        for report in reports
        if report["event"] in ("started", "finished")
    ]
    return sorted(course, key=lambda moment: moment.at_s)


def recovered_s(course: Sequence[Moment]) -> float | None:
    """How long the work of a killed worker stood still, until it began on another one; None: it never did."""
    return next((each.at_s for each in course if each.what == "started" and each.at_s > 0 and not each.first), None)


def outcome(course: Sequence[Moment]) -> Outcome:
    """Starts and ends of a job whose worker, or whose Redis, was stopped for a while."""
    starts = [each for each in course if each.what == "started"]
    ends = [each for each in course if each.what == "finished"]
    again = [each.at_s for each in starts if each.at_s > 0]
    return Outcome(
        starts=len(starts),
        early=max(0, len(starts) - len(again) - 1),
        ends=len(ends),
        restarted_s=again[0] if again else None,
        # A job that a worker ran twice and ended once: the later start is the one that may have ended.
        first_ended=any(each.first for each in ends),
    )


def is_over(course: Sequence[Moment], now_s: float) -> bool:
    """Whether every start has its end and nothing has happened since for so long that nothing more is expected."""
    starts = sum(each.what == "started" for each in course)
    ends = sum(each.what == "finished" for each in course)
    return 0 < starts <= ends and now_s - course[-1].at_s >= QUIET_S
