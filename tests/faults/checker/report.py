"""Tells a failure: the violations, then the history of each job concerned, from all that is known of it."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from tests.faults.checker.causes import works_on
from tests.faults.checker.ends import lifetime
from tests.faults.checker.evidence import Evidence, Process
from tests.faults.checker.violation import Violation
from tests.faults.history import (
    CancelAnswered,
    Event,
    ExecutionEnded,
    ExecutionStarted,
    Frame,
    Missing,
    Refused,
    ReplayAnswered,
    Submitted,
    WatcherLeft,
)
from tests.faults.leavings import JobFacts, Leavings
from tests.faults.plan import Plan

MOST_JOBS = 5
MOST_LINES = 80
MOST_VIOLATIONS = 60
WIDEST = 220
TOLD = ("state", "stage", "rev", "fence", "ended", "takes", "attempt", "crashes", "cancel", "doomed", "error", "result")
"""Fields of the hash."""
Line = tuple[float, str]
"""When (seconds of the records' clock), and what."""


def tell(plan: Plan, history: Sequence[Event], leavings: Leavings, violations: Sequence[Violation], repeat: str) -> str:
    """The whole report as text. `repeat` is the command that does this run again."""
    evidence = Evidence(plan, history, leavings)
    lines = [f"seed {plan.seed}, profile {plan.profile.name}: {len(violations)} violations"]
    lines += [
        _cut(f"  {violation.check}: {f'{violation.job}: ' if violation.job else ''}{violation.message}")
        for violation in violations[:MOST_VIOLATIONS]
    ]
    if len(violations) > MOST_VIOLATIONS:
        lines.append(f"  … and {len(violations) - MOST_VIOLATIONS} more")
    jobs = list(dict.fromkeys(violation.job for violation in violations if violation.job))
    for job in jobs[:MOST_JOBS]:
        lines += ["", *history_of(evidence, job)]
    if len(jobs) > MOST_JOBS:
        lines += ["", f"{len(jobs) - MOST_JOBS} more jobs are concerned: {', '.join(jobs[MOST_JOBS:][:20])}"]
    return "\n".join([*lines, "", f"again: {repeat}", ""])


def history_of(evidence: Evidence, job: str) -> list[str]:
    """What is known of one job, a line each, the beginning and the end of it where it is long."""
    facts = evidence.leavings.jobs.get(job)
    plan = evidence.plan_of(job)
    begin_s = evidence.history[0].at_s if evidence.history else 0.0
    head = [f"{job}, number {evidence.number_of(job)}", _cut(f"  planned: {plan}")]
    head.append(_cut(f"  left: {_kept(facts)}"))
    told = sorted(_lines(evidence, job, facts), key=lambda line: line[0])
    lines = [_cut(f"  {at_s - begin_s:9.3f} {what}") for at_s, what in told]
    if len(lines) > MOST_LINES:
        left_out = f"  … {len(lines) - MOST_LINES} lines …"
        lines = [*lines[: MOST_LINES // 2], left_out, *lines[-MOST_LINES // 2 :]]
    return [*head, *lines]


def _lines(evidence: Evidence, job: str, facts: JobFacts | None) -> Iterator[Line]:
    number = evidence.numbers.get(job)
    for event in evidence.history:
        told = _action(event, job, number)
        if told:
            yield event.at_s, told
    yield from _frames(evidence, job)
    yield from _executions(evidence, job)
    if facts is not None:
        for entry in facts.log:
            yield _at_s(evidence, entry), f"redis     {entry['rev']:>3} {entry['type']} {_json(entry['data'])}"
        yield from _faults(evidence, facts)
    for loss in evidence.losses_of(job):
        yield (
            loss.at_s,
            f"FAULT     {loss.server} may have lost the last {loss.at_s - loss.since_s:.3f} s",
        )


def _action(event: Event, job: str, number: int | None) -> str | None:
    """What a client asked and was answered."""
    match event:
        case Submitted() if event.job == job:
            return f"client    submitted: {event.status}, asked {event.at_s - event.asked_s:.3f} s before"
        case Refused() if event.number == number:
            return f"client    submission refused: {event.status}"
        case CancelAnswered() if event.job == job:
            return f"client    cancel: {event.status}, asked {event.at_s - event.asked_s:.3f} s before"
        case ReplayAnswered() if event.job == job:
            return f"client    replay: {event.status}, asked {event.at_s - event.asked_s:.3f} s before"
        case Missing() if event.job == job:
            return "client    was told that there is no such job"
        case WatcherLeft() if event.job == job:
            return f"{event.watcher:9} left: {event.how}"
    return None


def _frames(evidence: Evidence, job: str) -> Iterator[Line]:
    """Frames of each watcher; a run of progress is one line."""
    mine = sorted(
        (frame for frame in evidence.all(Frame) if frame.job == job), key=lambda frame: (frame.watcher, frame.at_s)
    )
    for (watcher, connection, event), run in groupby(
        mine, key=lambda frame: (frame.watcher, frame.connection, frame.event)
    ):
        frames = list(run)
        first, last = frames[0], frames[-1]
        times = f" ×{len(frames)}" if len(frames) > 1 else ""
        percent = "" if last.percent is None else f" {first.percent:g} to {last.percent:g} %"
        state = f" {last.state}" if last.state else ""
        yield first.at_s, f"{watcher:9} [{connection}] {event}{times} rev {first.rev}{state}{percent} {last.id or ''}"


def _executions(evidence: Evidence, job: str) -> Iterator[Line]:
    for execution in evidence.executions.get(job, []):
        started, ended = execution.started, execution.ended
        where = _where(evidence, started)
        charged = f"attempt {started.attempt}, crashes {started.crashes}"
        yield started.at_s, f"{where} starts {started.stage} under {started.fence}, {charged}"
        if ended is not None:
            yield ended.at_s, f"{_where(evidence, ended)} ends {ended.stage} under {ended.fence}: {ended.how}"


def _where(evidence: Evidence, event: ExecutionStarted | ExecutionEnded) -> str:
    process = evidence.process_of(event.pid, event.at_s)
    return f"{process.name if process else 'somebody'}({event.pid})"


def _faults(evidence: Evidence, facts: JobFacts) -> Iterator[Line]:
    """Faults during the job's life that hit somebody who worked on it, its server or its keys."""
    from_s, to_s = _life(evidence, facts)
    workers = _workers(evidence, facts)
    names = {process.name for process in workers}
    everybody = {process.name for process in evidence.processes}
    for fault in evidence.faults:
        if fault.ended_at_s < from_s or fault.began_at_s > to_s:
            continue
        if names.intersection(fault.victims) or not everybody.intersection(fault.victims):
            lasted = f"{fault.ended_at_s - fault.began_at_s:.3f} s"
            yield fault.began_at_s, f"FAULT     {fault.name} {', '.join(fault.victims[:6])} {fault.detail} {lasted}"
    for process in workers:
        if process.status is not None and from_s <= process.ended_at_s <= to_s:
            yield process.ended_at_s, f"{process.name}({process.pid}) ended with status {process.status}"


def _workers(evidence: Evidence, facts: JobFacts) -> list[Process]:
    """Who executed it; where nobody wrote that down, who takes such stages."""
    executions = evidence.executions.get(facts.job, [])
    if executions:
        pids = {execution.started.pid for execution in executions}
        return [process for process in evidence.processes if process.pid in pids]
    stages = evidence.stages_of(facts)
    return [process for process in evidence.processes if any(works_on(process, stage) for stage in stages)]


def _life(evidence: Evidence, facts: JobFacts) -> tuple[float, float]:
    from_s, until_s = lifetime(evidence, facts)
    return from_s, min(until_s, _at_s(evidence, facts.log[-1]) + 1.0) if facts.log else until_s


def _at_s(evidence: Evidence, entry: dict[str, Any]) -> float:
    """Server time of an event by the clock of the records. Wrong by as much as that clock was stepped."""
    return (float(entry["at"]) - evidence.leavings.server_ms_at_0) / 1000


def _kept(facts: JobFacts | None) -> str:
    if facts is None:
        return "nothing"
    names = (
        "state",
        "stage",
        "rev",
        "fence",
        "ended",
        "takes",
        "attempt",
        "crashes",
        "cancel",
        "doomed",
        "error",
        "result",
    )
    return ", ".join(f"{name} {facts.fields[name]}" for name in names if facts.fields.get(name))


def _json(data: Any) -> str:
    return msgspec.json.encode(data).decode()


def _cut(line: str) -> str:
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"
