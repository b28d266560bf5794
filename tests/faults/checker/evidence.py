"""A run in the order in which checks ask for it: by job, by process, by fault. Reads, and judges nothing."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from actors.kernel import TERMINAL
from tests.faults.history import (
    Event,
    ExecutionEnded,
    ExecutionStarted,
    FaultBegan,
    FaultEnded,
    Happening,
    ProcessEnded,
    ProcessStarted,
    Submitted,
    TailLost,
)
from tests.faults.leavings import JobFacts, Leavings
from tests.faults.plan import JobPlan, Media, Plan, Scripted, Step

TERMINAL_EVENTS = frozenset(f"job.{state}" for state in TERMINAL)
MEDIA_STAGES = ("ingest", "fetch", "transcode", "store")
H = TypeVar("H", bound=Happening)


class Execution(msgspec.Struct, frozen=True):
    """One run of a handler."""

    started: ExecutionStarted
    ended: ExecutionEnded | None
    """None: its process died in it, or it had no chance to write."""

    @property
    def takes(self) -> int:
        """The number in its fence, which grows with every take of the job."""
        return int(self.started.fence.partition(".")[0])

    @property
    def ended_at_s(self) -> float:
        return self.ended.at_s if self.ended else math.inf


class Process(msgspec.Struct, frozen=True):
    """One life of a role process."""

    name: str
    pid: int
    roles: tuple[str, ...]
    started_at_s: float
    ended_at_s: float
    status: int | None


class Inflicted(msgspec.Struct, frozen=True):
    """One fault that happened."""

    name: str
    victims: tuple[str, ...]
    detail: str
    began_at_s: float
    ended_at_s: float


class _Steps(msgspec.Struct, frozen=True):
    steps: tuple[Step, ...] | None = None


class Evidence:
    """Everything that is known of one run."""

    def __init__(self, plan: Plan, history: Sequence[Event], leavings: Leavings) -> None:
        self.plan = plan
        self.history = sorted(history, key=lambda event: event.at_s)
        self.leavings = leavings
        self.planned = {job.number: job for job in plan.jobs}
        self._pids: dict[int, list[Process]] = defaultdict(list)
        for process in self.processes:
            self._pids[process.pid].append(process)

    def all(self, kind: type[H]) -> Iterator[H]:
        """Records of one kind, in the order of time."""
        return (event for event in self.history if isinstance(event, kind))

    @cached_property
    def submissions(self) -> dict[int, list[Submitted]]:
        """Every 2xx for each number of the plan."""
        found: dict[int, list[Submitted]] = defaultdict(list)
        for event in self.all(Submitted):
            found[event.number].append(event)
        return found

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Job to its number in the plan."""
        return {event.job: event.number for event in self.all(Submitted)}

    @cached_property
    def first_answers(self) -> dict[str, Submitted]:
        """Job to its first 2xx."""
        first: dict[str, Submitted] = {}
        for event in self.all(Submitted):
            first.setdefault(event.job, event)
        return first

    @cached_property
    def executions(self) -> dict[str, list[Execution]]:
        """Job to its executions, in the order of their begins."""
        ends: dict[tuple[str, str, int], ExecutionEnded] = {}
        for ended in self.all(ExecutionEnded):
            ends.setdefault((ended.job, ended.fence, ended.pid), ended)
        found: dict[str, list[Execution]] = defaultdict(list)
        for started in self.all(ExecutionStarted):
            found[started.job].append(Execution(started, ends.get((started.job, started.fence, started.pid))))
        return found

    @cached_property
    def processes(self) -> list[Process]:
        """Every life of every role process."""
        starts: dict[int, list[ProcessStarted]] = defaultdict(list)
        roles: dict[str, tuple[str, ...]] = {}
        for started in self.all(ProcessStarted):
            starts[started.pid].append(started)
            roles[started.name] = started.roles
        found = []
        for ended in self.all(ProcessEnded):
            # Who ended before it was ready has no record of its begin.
            begin = starts[ended.pid].pop(0) if starts[ended.pid] else None
            since_s = begin.at_s if begin else -math.inf
            name = begin.name if begin else ended.name
            found.append(Process(name, ended.pid, roles.get(name, ()), since_s, ended.at_s, ended.status))
        for left in starts.values():
            found += [Process(one.name, one.pid, one.roles, one.at_s, math.inf, None) for one in left]
        return sorted(found, key=lambda process: process.ended_at_s)

    @cached_property
    def faults(self) -> list[Inflicted]:
        """Every fault that began. One without an end lasts."""
        ends = {event.number: event.at_s for event in self.all(FaultEnded)}
        return [
            Inflicted(event.name, event.victims, event.detail, event.at_s, ends.get(event.number, math.inf))
            for event in self.all(FaultBegan)
        ]

    def process_of(self, pid: int, at_s: float) -> Process | None:
        """Whose process id it was at that time. It may write before it is known to be ready."""
        lives = self._pids.get(pid, [])
        return next((life for life in lives if at_s <= life.ended_at_s), lives[-1] if lives else None)

    def number_of(self, job: str) -> int | None:
        """The number in the plan of a job or of the job that it is a descendant of."""
        return self.numbers.get(job.partition(".")[0])

    def plan_of(self, job: str) -> JobPlan | None:
        number = self.number_of(job)
        return None if number is None else self.planned.get(number)

    def stages_of(self, facts: JobFacts) -> tuple[str, ...]:
        """The stages of a job in their order: by its own spec, so that children are known as well."""
        if self.is_media(facts.job):
            return MEDIA_STAGES
        steps = self.steps_of(facts)
        return tuple(f"step{number}" for number in range(1, len(steps) + 1))

    def steps_of(self, facts: JobFacts) -> tuple[Step, ...]:
        """The steps of a scripted job or of a scripted child."""
        told = msgspec.json.decode(facts.fields.get("spec") or "{}", type=_Steps).steps
        if told is not None:
            return told
        plan = self.plan_of(facts.job)
        return plan.work.steps if plan and isinstance(plan.work, Scripted) and "." not in facts.job else ()

    def is_media(self, job: str) -> bool:
        plan = self.plan_of(job)
        return plan is not None and isinstance(plan.work, Media)

    def losses_of(self, job: str) -> list[TailLost]:
        """Power failures of the server that holds the job. With `always` they lose nothing."""
        if self.plan.profile.fsync == "always":
            return []
        server = self.leavings.servers.get(partition_of(job))
        return [loss for loss in self.all(TailLost) if server in (None, loss.server)]

    def undone(self, job: str, from_s: float, to_s: float) -> TailLost | None:
        """A power failure that may have undone what was done to the job at some moment between the two."""
        return next((loss for loss in self.losses_of(job) if loss.since_s <= to_s and from_s <= loss.at_s), None)


def partition_of(job: str) -> str:
    """`07` of `j07-…`."""
    return job.partition("-")[0].removeprefix("j")


def events_of(facts: JobFacts, *kinds: str) -> list[dict[str, Any]]:
    """Its durable events of these types."""
    return [event for event in facts.log if event["type"] in kinds]


def lives_of(facts: JobFacts) -> list[list[dict[str, Any]]]:
    """Its events, divided where it was replayed: that event begins a life."""
    lives: list[list[dict[str, Any]]] = [[]]
    for event in facts.log:
        if event["type"] == "job.replayed" and lives[-1]:
            lives.append([])
        lives[-1].append(event)
    return lives


def is_terminal(facts: JobFacts) -> bool:
    return facts.fields.get("state") in TERMINAL
