"""What may cost a worker its lease: the one table of causes, and whether one of them hit an execution.

Everything else that is done to an installation (Redis killed, stopped or full, connections cut, rows, groups, streams
and scripts deleted, clocks stepped, disks full) must not start a healthy stage twice and must not charge a crash.
"""

import math
from collections.abc import Iterator

import msgspec

from actors.kernel.connection import LONGEST_DELAY_S
from tests.faults.checker.evidence import Evidence, Execution, Inflicted, Process
from tests.faults.house.times import BEAT_S, LEASE_S

SILENCE_S = LEASE_S - BEAT_S
"""A worker that is silent for longer may lose its lease: its last beat may be a whole beat old."""
RECONNECT_S = LONGEST_DELAY_S + 0.5
"""How long a worker may take to beat again once its connections work."""
TOLD_S = 0.5
"""How much later than the deed the driver may write it down."""


class Silence(msgspec.Struct, frozen=True):
    """A fault that keeps its victim from beating. `lingers_s`: how long after its end it still does."""

    lingers_s: float
    reason: str


SILENCES = {
    "freeze": Silence(0.0, "SIGSTOP: the process does not run"),
    "blackhole": Silence(RECONNECT_S, "its connections to Redis swallow everything"),
}
"""By the names of injection/catalogue.py. Deaths are not here: they are known by ProcessEnded, whoever caused them."""
OUTAGES = ("restart_redis", "fail_power", "freeze_redis", "pause_clients")
"""Times in which nothing reaches Redis. They cost no lease by themselves."""
REJOINS_S = 5.0
"""How long a primary of a cluster that comes back answers CLUSTERDOWN, at most."""


def cause(evidence: Evidence, execution: Execution, until_s: float) -> str | None:
    """Why the job of this execution may have been given to somebody else by `until_s`; None: there is no reason."""
    started = execution.started
    process = evidence.process_of(started.pid, started.at_s)
    if process is not None and (hit := hit_of(evidence, process, execution, until_s)):
        return hit
    return tail_lost(evidence, execution, until_s)


def hit_of(evidence: Evidence, process: Process, execution: Execution, until_s: float) -> str | None:
    """What kept the worker of this execution from beating, or from sending its end."""
    if died_in(evidence, process, execution, until_s):
        return f"{process.name} died"
    return next((fault.name for fault in silences_of(evidence, process, execution.started.at_s, until_s)), None)


def died_in(evidence: Evidence, process: Process, execution: Execution, until_s: float) -> bool:
    """Whether its process was gone before this execution could send its end."""
    # Who ends by itself has sent the ends of its handlers, unless one of them did not end in the grace.
    violently = process.status != 0 or execution.ended is None
    unheard = violently or _gave_up(evidence, process, execution.ended_at_s)
    return unheard and execution.started.at_s - TOLD_S <= process.ended_at_s <= until_s + TOLD_S


def _gave_up(evidence: Evidence, process: Process, ended_at_s: float) -> bool:
    """Whether it stopped without an answer to that end: Redis was away, and it has waited for as long as a lease."""
    return ended_at_s + LEASE_S <= process.ended_at_s <= sent_by(evidence, ended_at_s)


def silences_of(evidence: Evidence, process: Process, from_s: float, until_s: float) -> Iterator[Inflicted]:
    """Faults that kept this process silent for longer than a lease bears, with a part of that between the two times."""
    for fault in evidence.faults:
        silence = SILENCES.get(fault.name)
        if silence is None or process.name not in fault.victims:
            continue
        ends_at_s = fault.ended_at_s + silence.lingers_s
        long_enough = min(ends_at_s, until_s + TOLD_S) - fault.began_at_s > SILENCE_S
        if long_enough and ends_at_s >= from_s and fault.began_at_s <= until_s:
            yield fault


def tail_lost(evidence: Evidence, execution: Execution, until_s: float) -> str | None:
    """Whether a power failure may have undone the take of this execution, or its end."""
    started, ended_at_s = execution.started, execution.ended_at_s
    for loss in evidence.losses_of(started.job):
        take_undone = loss.since_s <= started.at_s and started.at_s - TOLD_S <= loss.at_s
        end_undone = ended_at_s <= loss.at_s <= until_s + TOLD_S
        if loss.since_s <= until_s and (take_undone or end_undone):
            return "the tail of Redis was lost"
    return None


def hits_of_stage(evidence: Evidence, stage: str, from_s: float, until_s: float) -> int:
    """How often processes that work on this stage died or were silent for too long between the two times."""
    hits = 0
    for process in evidence.processes:
        if not works_on(process, stage):
            continue
        hits += process.status != 0 and from_s - TOLD_S <= process.ended_at_s <= until_s + TOLD_S
        hits += sum(1 for _ in silences_of(evidence, process, max(from_s, process.started_at_s), until_s))
    return hits


def workers_taken(evidence: Evidence, execution: Execution) -> int:
    """How many leases this execution may have cost its stage, at most, for reasons that the table knows."""
    started, ended = execution.started, execution.ended
    if ended is not None and ended.how == "kills":
        return 1
    # An end that was written is sent when Redis is there: what hits its worker until then keeps it from arriving.
    until_s = sent_by(evidence, ended.at_s) if ended is not None else math.inf
    process = evidence.process_of(started.pid, started.at_s)
    if process is None:
        return 0
    silent = sum(1 for _ in silences_of(evidence, process, started.at_s, until_s))
    # A beat that was on its way when its worker died may give the lease back to a dead one, which loses it once more.
    died = died_in(evidence, process, execution, until_s)
    # An end that was undone leaves a lease that nobody holds any more.
    return silent + died + (tail_lost(evidence, execution, math.inf) is not None)


def sent_by(evidence: Evidence, at_s: float) -> float:
    """Until when what had to be sent at that time has arrived, if its sender lives."""
    until_s = at_s + RECONNECT_S
    later_s = RECONNECT_S + (REJOINS_S if evidence.plan.profile.topology == "cluster" else 0.0)
    for fault in sorted(evidence.faults, key=lambda fault: fault.began_at_s):
        if fault.name in OUTAGES and fault.began_at_s <= until_s and at_s <= fault.ended_at_s + later_s:
            until_s = max(until_s, fault.ended_at_s + later_s)
    return until_s


def works_on(process: Process, stage: str) -> bool:
    """Whether jobs of this stage are taken by this process. Scripted actors take every step."""
    return process.name.startswith("scripted") if stage.startswith("step") else stage in process.roles
