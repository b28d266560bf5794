"""Rounds of several systems that take turns: all of them in every round, in another order each time."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from bench.context import OURS, Context, Durability
from bench.systems import system as systems
from bench.systems.measure import Measured, Work, run_round
from bench.systems.process import Broken, Late
from bench.systems.reelway.situation import QUEUED
from bench.systems.system import System

COUNTS = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
MOST: Mapping[Work, int] = {"noop": 20_000, "chain": 10_000}
THROUGH_INBOXES = "reelway, queued"
"""Reelway's chain as it is where each stage has a process of its own, or where others wait."""
QUICK: Mapping[Work, int] = {"noop": 400, "chain": 100}
FIRST_COUNT = 200
ROUND_S = 4.0
"""No round of a system is to take longer, as far as its count can say so."""
JUDGED_S = 0.4
"""A warm-up that was shorter says too little about the speed."""
Figure = TypeVar("Figure")


class Pace(msgspec.Struct, frozen=True):
    """What the warm-up of a system found."""

    jobs: int
    """Of one round."""
    rate: float
    """Jobs a second; 0 in a quick run."""


def choose_count(rate: float, most: int) -> int:
    """The largest of COUNTS that is worked off within ROUND_S at this rate."""
    return max((count for count in COUNTS if count <= min(most, rate * ROUND_S)), default=COUNTS[0])


def following_count(jobs: int, measured: Measured, most: int) -> int | None:
    """How many jobs the next warm-up has; None when this one has said enough."""
    if measured.jobs / measured.rate >= JUDGED_S or jobs >= most:
        return None
    return min(most, jobs * 5)


def competitors(context: Context, mode: systems.Mode) -> list[System]:
    """The systems of this run that know the mode; of ours also the chain in which no stage is gone on with in place."""
    entrants = [each for each in map(systems.load, context.systems) if each.runs(mode)]
    if mode == "chain":
        ours = systems.load(OURS)
        modes = msgspec.structs.replace(ours.modes, chain_how="every stage through its inbox")
        entrants.insert(
            1, msgspec.structs.replace(ours, name=THROUGH_INBOXES, worker=(*ours.worker, QUEUED), modes=modes)
        )
    return entrants


def measure(context: Context, system: System, durability: Durability, mode: Work, jobs: int) -> Measured:
    """One round on a server of its own: with the settings that Reelway ships for Reelway, else with Redis's own."""
    with context.server(durability, shipped=system.language == "this") as server:
        return run_round(system, context.environments, server, mode, jobs)


def warm_up(context: Context, system: System, mode: Work) -> Pace:
    """Runs it until its speed is known. Not counted, and left out of a quick run."""
    if context.quick:
        return Pace(QUICK[mode], 0.0)
    jobs = FIRST_COUNT
    while True:
        measured = measure(context, system, context.durabilities[0], mode, jobs)
        more = following_count(jobs, measured, MOST[mode])
        if more is None:
            break
        jobs = more
    count = choose_count(measured.rate, MOST[mode])
    context.say(f"{mode} warm-up {system.name}: {measured.rate:.0f}/s, {count} jobs a round")
    return Pace(count, measured.rate)


def warm_up_all(context: Context, entrants: Sequence[System], mode: Work) -> dict[str, Pace]:
    """By system; one that breaks is left out of the run, and said."""
    paces = {}
    for system in entrants:
        pace = attempt(context, f"{mode} warm-up {system.name}", lambda system=system: warm_up(context, system, mode))  # type: ignore[misc]
        if pace is not None:
            paces[system.name] = pace
    return paces


def attempt(context: Context, what: str, work: Callable[[], Figure]) -> Figure | None:
    """Does it; a system that breaks or is late costs its own round and no other one."""
    try:
        return work()
    except (Broken, Late, OSError) as error:
        context.say(f"{what} broke: {error}")
        return None


class Results(msgspec.Struct, frozen=True):
    """All rounds of one mode."""

    durability: Durability
    rounds: int
    systems: tuple[System, ...]
    by_system: dict[str, dict[int, Measured]]
    """System to number of the round to figures; a round that broke is not there."""


def take_turns(context: Context, mode: Work) -> list[Results]:
    """Every round of every system, with each durability in turn."""
    entrants = competitors(context, mode)
    paces = warm_up_all(context, entrants, mode)
    durabilities = context.durabilities[:1] if context.quick else context.durabilities
    rounds = 1 if context.quick else context.rounds
    took_part = tuple(each for each in entrants if each.name in paces)
    results = [Results(each, rounds, took_part, {system.name: {} for system in took_part}) for each in durabilities]
    for number in range(1, rounds + 1):
        for result in results:
            for system in context.order(took_part, number):
                what = f"{mode} {result.durability} round {number} {system.name}"
                jobs = paces[system.name].jobs
                measured = attempt(
                    context,
                    what,
                    lambda: measure(context, system, result.durability, mode, jobs),  # noqa: B023
                )
                if measured is not None:
                    result.by_system[system.name][number] = measured
                    context.say(f"{what}: {measured.rate:.0f}/s")
    return results
