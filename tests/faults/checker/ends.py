"""How jobs ended: in a state that their plan allows, or in one that what was done to them explains."""

from collections.abc import Iterator
from typing import Any

import msgspec

from actors.media.errors import error_table
from actors.settings import Settings
from tests.faults.checker.causes import hits_of_stage, workers_taken
from tests.faults.checker.evidence import (
    TERMINAL_EVENTS,
    Evidence,
    Execution,
    events_of,
    is_terminal,
    lives_of,
)
from tests.faults.house.times import CRASH_BUDGET, ERROR_BUDGET
from tests.faults.leavings import JobFacts
from tests.faults.load.ends import allowed_child_ends, allowed_ends

Found = tuple[str, str | None]
_SETTINGS = Settings()
MEDIA_BUDGETS = {
    "ingest": _SETTINGS.ingest.budget,
    "fetch": _SETTINGS.fetch.budget,
    "transcode": _SETTINGS.transcode.budget,
    "store": _SETTINGS.store.budget,
}


def allowed_end(evidence: Evidence) -> Iterator[Found]:
    """P1: every accepted job, and every child, is in a terminal state that its plan allows.

    Beside that it may be `failed` when its own history shows that a budget was spent: workers that we took from it, or
    errors; `failed` with a child that it needed; and `expired` only when its deadline had passed.
    """
    for job, facts in evidence.leavings.jobs.items():
        state = facts.fields.get("state", "")
        if not is_terminal(facts):
            yield f"it is {state or 'without a state'} and has not ended", job
            continue
        if state == "expired" and _number(facts, "ended_at") < _number(facts, "deadline"):
            yield "it expired before its deadline", job
        allowed = _allowed(evidence, facts)
        if allowed is not None and state not in allowed and not (state == "failed" and _explained(evidence, facts)):
            error = facts.fields.get("error", "")
            names = ", ".join(sorted(str(end) for end in allowed))
            yield f"it ended {state} ({error}) and its plan allows {names}", job


def one_end_per_life(evidence: Evidence) -> Iterator[Found]:
    """P1: exactly one terminal event for each life of a job, the last of that life, and the state says the same."""
    for job, facts in evidence.leavings.jobs.items():
        for number, life in enumerate(lives_of(facts), start=1):
            ends = [event["type"] for event in life if event["type"] in TERMINAL_EVENTS]
            if len(ends) != 1 or life[-1]["type"] not in TERMINAL_EVENTS:
                yield f"its life {number} has the ends {ends} and the last event {life[-1:]}", job
            elif ends[0] == "job.completed" and number < len(lives_of(facts)):
                yield "it was replayed after it had completed", job
        last = facts.log[-1]["type"] if facts.log else "nothing"
        if is_terminal(facts) and last != f"job.{facts.fields['state']}":
            yield f"it is {facts.fields['state']} and its last event is {last}", job


def charged_errors(life: list[dict[str, Any]], stage: str) -> int:
    """Errors of this stage that spent budget in one life; Throttled ones spend nothing."""
    at, charged = "", 0
    for event in life:
        if event["type"] == "job.started":
            at = event["data"]["stage"]
        elif event["type"] == "job.retrying" and "error" in event["data"] and at == stage:
            charged += _class_of(event["data"]["error"]["code"]) != "throttled"
    return charged


def lost_workers(life: list[dict[str, Any]], stage: str) -> int:
    """Leases of this stage that ran out in one life; without those whose worker came back in time."""
    at, crashes, reaped = "", 0, False
    for event in life:
        kind, data = event["type"], event["data"]
        if kind == "job.started":
            at, reaped = data["stage"], False
        elif at != stage:
            continue
        elif kind == "job.retrying" and data.get("reason", {}).get("code") == "WORKER_LOST":
            crashes, reaped = crashes + 1, True
        elif reaped and (kind in ("job.resumed", "job.stage", "job.completed", "job.waiting") or "error" in data):
            crashes, reaped = crashes - 1, False
        elif kind == "job.failed" and data.get("error", {}).get("code") == "CRASH_LOOP":
            crashes += 1
    return crashes


def reaped(life: list[dict[str, Any]], stage: str) -> int:
    """Leases of this stage that ran out in one life, whatever came of it."""
    at, times = "", 0
    for event in life:
        data = event["data"]
        at = data["stage"] if event["type"] == "job.started" else at
        codes = (data.get("reason", {}).get("code"), data.get("error", {}).get("code"))
        times += at == stage and codes in (("WORKER_LOST", None), (None, "CRASH_LOOP"))
    return times


def executions_of_last_life(evidence: Evidence, facts: JobFacts, stage: str) -> list[Execution]:
    """Executions of a stage since the last replay: by the number in their fences, which every take raises by one."""
    before = lives_of(facts)[:-1]
    takes = sum(event["type"] == "job.started" for life in before for event in life)
    found = evidence.executions.get(facts.job, [])
    return [one for one in found if one.started.stage == stage and one.takes > takes]


def budget_of(stage: str, code: str) -> int:
    """Errors that a job may have at the stage before it fails."""
    own: int | None = error_table().rule(code).budget
    return own or MEDIA_BUDGETS.get(stage, ERROR_BUDGET)


def error_of(facts: JobFacts) -> dict[str, Any]:
    error: dict[str, Any] = msgspec.json.decode(facts.fields.get("error") or "{}")
    return error


def _allowed(evidence: Evidence, facts: JobFacts) -> frozenset[str] | None:
    """None: nobody planned it, which `accepted_once` and `rows_agree` say."""
    plan = evidence.plan_of(facts.job)
    if plan is None:
        return None
    numbers = facts.job.partition(".")[2]
    if not numbers:
        ends = set(map(str, allowed_ends(plan)))
        if any(fault.name == "step_clock" for fault in evidence.faults):
            # A deadline that was given while the clock was ahead comes later than was asked.
            ends |= set(map(str, allowed_ends(msgspec.structs.replace(plan, deadline_s=None))))
        return frozenset(ends)
    try:
        ends = set(map(str, allowed_child_ends(plan, [int(number) for number in numbers.split(".")])))
    except (KeyError, ValueError):
        return frozenset()
    parent = evidence.leavings.jobs.get(facts.job.rpartition(".")[0])
    if parent is not None and any(events_of(parent, *(TERMINAL_EVENTS - {"job.completed"}))):
        # It ended with its parent, which may have been replayed since.
        ends.add("cancelled")
    return frozenset(ends)


def _explained(evidence: Evidence, facts: JobFacts) -> bool:
    """Whether a failure that was not planned is one that its history explains."""
    error, stage = error_of(facts), facts.fields.get("stage", "")
    code, life = error.get("code", ""), lives_of(facts)[-1]
    if code == "CHILD_FAILED":
        child = evidence.leavings.jobs.get(error.get("child", ""))
        return child is not None and bool(events_of(child, "job.failed", "job.expired"))
    if code == "CRASH_LOOP":
        return (
            _number(facts, "crashes") >= CRASH_BUDGET
            and lost_workers(life, stage) >= CRASH_BUDGET
            and workers_taken_from(evidence, facts, stage) >= CRASH_BUDGET
        )
    budget = budget_of(stage, code)
    return _number(facts, "attempt") >= budget and charged_errors(life, stage) + 1 >= budget


def workers_taken_from(evidence: Evidence, facts: JobFacts, stage: str) -> int:
    """How many workers this stage of this job lost for a reason of ours, at most."""
    if not evidence.is_media(facts.job):
        found = executions_of_last_life(evidence, facts, stage)
        begun = {execution.takes for execution in found}
        known = sum(workers_taken(evidence, execution) for execution in found)
        return known + _taken_and_never_begun(evidence, facts, stage, begun)
    return hits_of_stage(evidence, stage, *lifetime(evidence, facts)) + len(evidence.losses_of(facts.job))


def _taken_and_never_begun(evidence: Evidence, facts: JobFacts, stage: str, begun: set[int]) -> int:
    """Takes whose handler never wrote: its process died or fell silent in between, or the reply was lost for good."""
    starts: list[str] = [event["data"]["stage"] for event in events_of(facts, "job.started")]
    silent = sum(at == stage and number not in begun for number, at in enumerate(starts, start=1))
    from_s, until_s = lifetime(evidence, facts)
    if any(fault.name == "delete_taken" and from_s <= fault.began_at_s <= until_s for fault in evidence.faults):
        # What a call of `take` granted was deleted, and so its repeat granted something else.
        return silent
    return min(silent, hits_of_stage(evidence, stage, from_s, until_s))


def lifetime(evidence: Evidence, facts: JobFacts) -> tuple[float, float]:
    """When the job was there, by the clock of the records."""
    first = evidence.first_answers.get(facts.job.partition(".")[0])
    until_s = evidence.history[-1].at_s if evidence.history else 0.0
    return (first.asked_s if first else 0.0, until_s)


def _class_of(code: str) -> str:
    return error_table().rule(code).cls


def _number(facts: JobFacts, name: str) -> int:
    return int(facts.fields.get(name) or 0)
