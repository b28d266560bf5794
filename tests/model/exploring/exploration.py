"""All states that can be reached, breadth first."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from actors.kernel.states import State
from tests.model import Job
from tests.model.exploring.faults import EVERY_KIND, Faults, power
from tests.model.exploring.properties import CRASH_BUDGET, Broken
from tests.model.exploring.server import Server
from tests.model.exploring.state import Everything, Hand, canonical
from tests.model.exploring.steps import Course, Kind, Step

NEW = "new"
"""The nonce of whoever takes; it is named by where it appears then."""
MOST_STATES = 3_000_000
"""About what 16 GiB hold."""


class Bounds(NamedTuple):
    """How much may happen in one history."""

    jobs: int
    faults: int
    kinds: tuple[str, ...] = EVERY_KIND
    """What may go wrong."""
    power: bool = False
    """Whether the tail of what Redis was told may be lost, once, besides."""
    cancels: int = 1
    deadlines: int = 0
    """How many jobs may meet their deadline."""
    workers: int = 2


class World:
    """The rules of one exploration."""

    def __init__(self, bounds: Bounds, server: Server) -> None:
        self.bounds = bounds
        self.server = server

    def begin(self) -> Everything:
        """Every job has just been submitted."""
        partition = self.server.kind(CRASH_BUDGET)
        for number in range(1, self.bounds.jobs + 1):
            job = Job(f"j00-t{number}", "t", "a", created_ms=number)
            assert partition.submit(job, scheduled=False) == "ok"
            assert job.state == State.QUEUED
            partition.queue(job)
        bounds = self.bounds
        hands = (Hand(),) * bounds.workers
        power = "on" if bounds.power else ""
        return Everything(partition.freeze(), hands, bounds.cancels, bounds.deadlines, bounds.faults, power)

    def steps(self, state: Everything, fresh: str) -> Iterator[Step]:
        """All steps from one state."""
        course = Course(self.server, state, fresh)
        yield from course.sure()
        yield from course.may()
        yield from Faults(course, self.bounds.kinds).all()
        yield from power(state)


class Breach(NamedTuple):
    """A rule that is broken by a step from a state."""

    message: str
    state: int


class Space:
    """The states that were found: their numbers are in the order of their distance from the first one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.states: list[Everything] = [canonical(world.begin())]
        self.parents: list[int] = [-1]
        self.sure: list[list[int]] = []
        """What comes next from each state if nothing goes wrong."""
        self.edges = 0
        self.breaches: dict[str, Breach] = {}
        """Rule to the nearest step that breaks it."""
        self._known = {self.states[0]: 0}

    def __str__(self) -> str:
        calls = len(self.world.server.replies)
        return f"{len(self.states)} states, {self.edges} steps, {calls} different calls; {self.world.bounds}"

    def look(self, position: int) -> None:
        """Takes every step from one state."""
        sure = set()
        for step in self.world.steps(self.states[position], NEW):
            self.edges += 1
            if step.broken:
                self._broken(position, step.broken)
                continue
            number = self._number_of(canonical(step.after), position)
            if step.kind is Kind.SURE:
                sure.add(number)
        self.sure.append(list(sure))

    def _number_of(self, state: Everything, parent: int) -> int:
        number = self._known.get(state)
        if number is None:
            number = self._known[state] = len(self.states)
            self.states.append(state)
            self.parents.append(parent)
        return number

    def _broken(self, position: int, broken: tuple[Broken, ...]) -> None:
        for rule, message in broken:
            self.breaches.setdefault(rule, Breach(message, position))


@contextmanager
def without_collector() -> Iterator[None]:
    """Nothing here is ever garbage, and looking for it costs a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def explore(world: World) -> Space:
    """Looks at every state once, and at no state behind a broken rule."""
    space = Space(world)
    with without_collector():
        position = 0
        while position < len(space.states):
            space.look(position)
            position += 1
            assert position < MOST_STATES, space
    return space
