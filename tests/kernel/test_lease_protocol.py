"""Every history of two workers, a reaper and a client within bounds: docs/protocol.md says what that means."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from actors.kernel import TERMINAL
from tests.kernel.replayed import Replayed
from tests.model.exploring.exploration import Bounds, World, explore
from tests.model.exploring.kept import Kept
from tests.model.exploring.path import Walk, tell_all, walk_to
from tests.model.exploring.server import Server
from tests.model.exploring.state import canonical
from tests.model.exploring.steps import Step

ONE_JOB = Bounds(jobs=1, faults=2)
TWO_JOBS = Bounds(jobs=2, faults=1)
LOST_WORKERS = Bounds(jobs=1, faults=4, kinds=("workers",))
"""Enough of them to spend the budget of crashes, by way of `alone`."""
LOST_TAIL = Bounds(jobs=1, faults=0, power=True)
DEADLINE = Bounds(jobs=1, faults=1, deadlines=1)
WALKS = 50
LONGEST = 25
"""Steps of a random history at most."""
ANY = 0.2
"""How often it goes anywhere, and not where few have been."""
MANY = 12
"""Faults of a random history: it need not be one of those that were explored."""


def holds(bounds: Bounds, least: int) -> None:
    """No rule is broken in any of at least so many states."""
    space = explore(World(bounds, Server()))
    broken = tell_all(space)
    assert not broken, "\n\n".join([str(space), *broken.values()])
    assert len(space.states) >= least, f"that is not much: {space}"
    assert any(state.over for state in space.states), space


@pytest.mark.parametrize(
    ("bounds", "least"),
    [(ONE_JOB, 12_000), (TWO_JOBS, 12_000), (LOST_WORKERS, 3_000), (LOST_TAIL, 1_000), (DEADLINE, 1_000)],
    ids=["one job", "two jobs", "lost workers", "lost tail", "deadline"],
)
def test_every_history_within_bounds(bounds: Bounds, least: int) -> None:
    holds(bounds, least)


def test_what_is_explored_is_met() -> None:
    """Every answer is given, every end is reached, and a job that costs workers runs alone."""
    server = Server()
    space = explore(World(DEADLINE, server))
    answers = {(act.verb, reply.answer[0]) for (_, act), reply in server.replies.items() if reply.answer}
    met = {
        verb: {answer for asked, answer in answers if asked == verb} for verb in ("commit", "fail", "release", "beat")
    }
    assert met["commit"] == {"OK", "LATE", "ALREADY", "CANCELLED", "FENCED"}
    assert met["fail"] == {"OK", "LATE", "ALREADY", "CANCELLED", "FENCED"}
    assert met["release"] >= {"OK", "ALREADY", "CANCELLED", "FENCED"}
    assert met["beat"] == {"OK", "CANCEL", "DEADLINE", "FENCED"}
    assert {row.state for state in space.states if state.over for row in state.kept.jobs} == TERMINAL
    alone = explore(World(LOST_WORKERS._replace(faults=2), Server()))
    assert any(row.inbox == "alone" for state in alone.states for row in state.kept.jobs)


@pytest.mark.heavy
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("bounds", "least"),
    [
        (ONE_JOB._replace(faults=3), 110_000),
        (TWO_JOBS._replace(faults=2, kinds=("calls", "workers")), 190_000),
        (LOST_TAIL._replace(faults=1), 45_000),
        (DEADLINE._replace(faults=2), 26_000),
    ],
    ids=["one job", "two jobs", "lost tail", "deadline"],
)
def test_every_history_within_wider_bounds(bounds: Bounds, least: int) -> None:
    holds(bounds, least)


@pytest.fixture
def replayed(redis_url: str) -> Iterator[Replayed]:
    found = Replayed(redis_url)
    yield found
    found.close()


def replay(replayed: Replayed, walk: Walk, jobs: int) -> None:
    try:
        replayed.history(jobs, walk.acts)
    except AssertionError as error:
        error.add_note(f"The scripts do something else in this history:\n{walk.told()}")
        raise


def _ended(step: Step) -> int:
    return sum(row.state in TERMINAL for row in step.after.kept.jobs)


def _place(step: Step) -> tuple[str, Kept]:
    return step.act.verb if step.act else "", canonical(step.after).kept


@pytest.mark.parametrize(
    ("bounds", "seed"),
    [
        (ONE_JOB._replace(faults=MANY), 1),
        (TWO_JOBS._replace(faults=MANY), 2),
        (LOST_WORKERS._replace(faults=MANY), 3),
        (LOST_TAIL._replace(faults=MANY), 4),
        (DEADLINE._replace(faults=MANY), 5),
    ],
    ids=["one job", "two jobs", "lost workers", "lost tail", "deadline"],
)
def test_the_scripts_do_the_same_in_random_histories(replayed: Replayed, bounds: Bounds, seed: int) -> None:
    """Each history goes where few have been before."""
    world, chance = World(bounds, Server()), random.Random(seed)
    visits: Counter[tuple[str, Kept]] = Counter()
    for _ in range(WALKS):
        walk = Walk(world)
        while not walk.state.over and len(walk.taken) < LONGEST:
            choices = walk.choices()
            # Jobs that have ended say little more; without chance none would.
            novelty = [(_ended(step), visits[_place(step)]) for step in choices]
            least = min(novelty)
            if chance.random() >= ANY:
                choices = [step for step, new in zip(choices, novelty, strict=True) if new == least]
            chosen = chance.choice(choices)
            visits[_place(chosen)] += 1
            walk.take(chosen)
        replay(replayed, walk, bounds.jobs)
    assert len(visits) > 2 * WALKS, "the histories were all the same"


def test_the_scripts_do_the_same_in_all_short_histories(replayed: Replayed) -> None:
    """All of two steps, from the beginning and from the grant of a job."""
    start = Walk(World(ONE_JOB, Server()))
    taken = next(step for step in start.choices() if step.text == "worker 1: take (n1) -> job 1, stage a, fence 1.n1")
    for begun in (start, start.branch(taken)):
        for first in begun.choices():
            walk = begun.branch(first)
            for second in walk.choices():
                replay(replayed, walk.branch(second), 1)


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_the_scripts_do_the_same_in_every_history_with_one_fault(replayed: Replayed) -> None:
    """Every step from every state."""
    space = explore(World(ONE_JOB._replace(faults=1), Server()))
    steps = 0
    for number in range(len(space.states)):
        walk = walk_to(space, number)
        for step in walk.choices():
            replay(replayed, walk.branch(step), 1)
            steps += 1
    assert steps == space.edges
