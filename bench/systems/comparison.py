"""Rounds of several systems as tables, ratios, pictures and checks. Pure."""

import statistics
from collections.abc import Callable, Mapping, Sequence

from bench.context import OURS
from bench.findings import Check, Figure, Plot, Row, Series, Table
from bench.systems.measure import Measured
from bench.systems.rounds import Results

BUSY_PERCENT = 85
"""Of a core: what is less busy than this waits for something else."""
Rounds = Mapping[int, Measured]
"""Number of the round to its figures."""


def ratios(ours: Rounds, theirs: Rounds) -> tuple[float, ...]:
    """Our rate by theirs, of each round that both have."""
    return tuple(ours[number].rate / theirs[number].rate for number in sorted(ours.keys() & theirs.keys()))


def ratios_to_best(ours: Rounds, others: Sequence[Rounds]) -> tuple[float, ...]:
    """Our rate by the best of theirs, of each round that we have and one of them has."""
    found = []
    for number in sorted(ours):
        best = max((each[number].rate for each in others if number in each), default=None)
        if best is not None:
            found.append(ours[number].rate / best)
    return tuple(found)


def median_rate(rounds: Rounds) -> float:
    """0 where no round was measured."""
    return statistics.median(each.rate for each in rounds.values()) if rounds else 0.0


def by_speed(results: Results) -> list[str]:
    """Names of the systems, fastest first."""
    return sorted(results.by_system, key=lambda name: -median_rate(results.by_system[name]))


def figure(unit: str, rounds: Rounds, read: Callable[[Measured], float], expected: int) -> Figure:
    """One quantity of every round; says how many rounds are missing."""
    values = tuple(read(rounds[number]) for number in sorted(rounds))
    missing = expected - len(values)
    return Figure(unit, values, f"{missing} of {expected} rounds broke" if missing else "")


def table(results: Results, title: str, unit: str, extra: str, notes: Mapping[str, str]) -> Table:
    """One row a system. `unit`: what is counted, such as "chains"; `extra`: the head of the column for `notes`."""
    ours = results.by_system.get(OURS, {})
    rows = []
    for name in by_speed(results):
        rounds = results.by_system[name]
        rows.append(
            Row(
                (name, notes.get(name, "")),
                (
                    figure(f"{unit}/s", rounds, lambda each: each.rate, results.rounds),
                    Figure("×", () if name == OURS else ratios(ours, rounds)),
                    figure("µs", rounds, lambda each: each.worker_us, results.rounds),
                    figure("µs", rounds, lambda each: each.redis_us, results.rounds),
                    figure("%", rounds, lambda each: each.worker_busy_percent, results.rounds),
                    figure("%", rounds, lambda each: each.redis_busy_percent, results.rounds),
                    figure(f"{unit}/s", rounds, lambda each: each.submit_rate, results.rounds),
                    figure("%", rounds, lambda each: each.steal_percent, results.rounds),
                    figure("jobs", rounds, lambda each: each.jobs, results.rounds),
                ),
            )
        )
    one = unit.removesuffix("s")
    columns = (
        "rate", "Reelway is faster by", f"worker CPU a {one}", f"Redis CPU a {one}", "worker busy", "Redis busy",
        "submitted", "steal", "a round",
    )  # fmt: skip
    return Table(title, ("system", extra), columns, tuple(rows))


def bars(all_results: Sequence[Results], name: str, title: str, unit: str) -> Plot:
    """Rates of all systems, one group of bars a durability, in the order of the first one."""
    order = by_speed(all_results[0])
    series = []
    for results in all_results:
        measured = {each: results.by_system[each] for each in order if results.by_system[each]}
        rates = [[one.rate for one in rounds.values()] for rounds in measured.values()]
        series.append(
            Series(
                results.durability.words,
                tuple(measured),
                tuple(map(statistics.median, rates)),
                tuple(map(min, rates)),
                tuple(map(max, rates)),
            )
        )
    return Plot(name, title, "bars", "", f"{unit}/s", tuple(series))


def check_at_least(what: str, found: Sequence[float], wanted: float) -> list[Check]:
    """The median of ratios against a promise; nothing where there are no ratios."""
    if not found:
        return []
    return [Check(what, f"≥ {wanted:g} ×", in_words(found), statistics.median(found) >= wanted)]


def in_words(found: Sequence[float]) -> str:
    """Median and spread of ratios."""
    return f"{statistics.median(found):.2f} × ({min(found):.2f} to {max(found):.2f})"


def bound(rounds: Rounds) -> str:
    """What keeps a system from being faster, as far as its processes show it."""
    worker = statistics.median(each.worker_busy_percent for each in rounds.values())
    redis = statistics.median(each.redis_busy_percent for each in rounds.values())
    return bound_of(worker, redis)


def bound_of(worker_percent: float, redis_percent: float) -> str:
    """The same from what both use of a core."""
    said = f"its worker uses {worker_percent:.0f} % of a core and Redis {redis_percent:.0f} %"
    if max(worker_percent, redis_percent) < BUSY_PERCENT:
        return f"{said}, so neither of them is the bound but the time between them"
    return f"{said}, so the bound is {'the worker' if worker_percent > redis_percent else 'Redis'}"
