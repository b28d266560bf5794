"""How long a job waits for its start: alone, at a low load, and while the system is half busy."""

from collections.abc import Mapping, Sequence

import msgspec

from bench.context import OURS, Context, Durability
from bench.findings import Check, Figure, Finding, Plot, Row, Series, Table
from bench.systems import rounds, waits
from bench.systems.percentiles import curve, percentile
from bench.systems.rounds import Pace
from bench.systems.system import System
from bench.systems.waits import UNCOUNTED, Load, Waits

WHAT = "milliseconds from the hand-in to the first line of the job: idle, low load, half of what the system can do"
IDLE = Load("idle", 60, 0.3)
LOW = Load("low", 400, 0.02)
STEADY = "steady"
STEADY_MOST = 2000.0
"""Jobs a second."""
STEADY_S = 3.0
P50_MS, P99_MS = 1.1, 3.0
PERCENTS = (50.0, 95.0, 99.0, 100.0)
HOW = f"""\
A worker waits; a client hands in one job after the other at moments that do not depend on what becomes of them (gaps
are uniform between half and one and a half of their mean), one awaited call each. The time is that from just before the
call to the first line of the job, so it includes the call. Idle: {IDLE.jobs} jobs a round, every {IDLE.gap_s * 1000:g}
ms. Low: {LOW.jobs} jobs, every {LOW.gap_s * 1000:g} ms. Steady: half of the system's own no-op rate, measured just
before, at most {STEADY_MOST:g} jobs/s, for {STEADY_S:g} s; the column "load" is what the client reached. The first
{UNCOUNTED} jobs of each load are not counted, since their client connects meanwhile. Percentiles are of all rounds
together, with the rounds' own medians beside them. These rounds are long: there are half as many as asked for with the
append-only file, and a third without."""

Found = dict[str, dict[str, list[Waits | str]]]
"""Load, system, rounds: its waits or why there are none."""


class Results(msgspec.Struct, frozen=True):
    """All rounds with one durability."""

    durability: Durability
    found: Found


def run(context: Context) -> Finding:
    entrants = rounds.competitors(context, "latency")
    paces = rounds.warm_up_all(context, [each for each in entrants if each.runs("noop")], "noop")
    durabilities = context.durabilities[:1] if context.quick else context.durabilities
    results = [_measure(context, entrants, paces, each) for each in durabilities]
    plots = [plot(results[0], name) for name in results[0].found]
    return Finding(
        scenario="latency",
        title="From the hand-in to the start",
        how=HOW,
        tables=tuple(table(each, name) for each in results for name in each.found),
        plots=tuple(each for each in plots if each.series),
        checks=tuple(check for each in results[:1] for check in checks(each)),
        says=_says(results[0]),
    )


def loads_of(pace: Pace | None, *, quick: bool) -> list[Load]:
    """What a system is put under."""
    if quick:
        return [Load("idle", 5, 0.1), Load("low", 20, 0.02), Load(STEADY, 40, 0.01)]
    loads = [IDLE, LOW]
    if pace is not None:
        rate = min(pace.rate / 2, STEADY_MOST)
        loads.append(Load(STEADY, max(100, round(rate * STEADY_S)), 1 / rate))
    return loads


def _measure(
    context: Context, entrants: Sequence[System], paces: Mapping[str, Pace], durability: Durability
) -> Results:
    found: Found = {name: {each.name: [] for each in entrants} for name in ("idle", "low", STEADY)}
    count = 1 if context.quick else max(1, context.rounds // (2 if durability is Durability.EVERYSEC else 3))
    for number in range(1, count + 1):
        for system in context.order(entrants, number):
            loads = loads_of(paces.get(system.name), quick=context.quick)
            what = f"latency {durability} round {number} {system.name}"
            context.say(what)

            def one(system: System = system, loads: list[Load] = loads, seed: int = number) -> dict[str, Waits | str]:
                with context.server(durability, shipped=system.name == OURS) as server:
                    return waits.measure(system, context.environments, server, loads, context.seed * 1000 + seed)

            measured = rounds.attempt(context, what, one) or {}
            for load in loads:
                found[load.name][system.name].append(measured.get(load.name, "the worker broke"))
    return Results(durability, found)


def pooled(found: Sequence[Waits | str]) -> list[float]:
    """Waits of all rounds together, in milliseconds."""
    return [ms for each in found if isinstance(each, Waits) for ms in each.ms]


def table(results: Results, load: str) -> Table:
    """One row a system, shortest median first."""
    found = results.found[load]
    names = sorted(found, key=lambda name: percentile(pooled(found[name]) or [float("inf")], 50))
    columns = ("p50", "p95", "p99", "longest", "p50 by round", "p99 by round", "load", "steal")
    title = f"Waits, {load}, {results.durability.words}"
    return Table(title, ("system",), columns, tuple(_row(name, found[name]) for name in names))


def _row(name: str, found: Sequence[Waits | str]) -> Row:
    measured = [each for each in found if isinstance(each, Waits)]
    why = next((each for each in found if isinstance(each, str)), "")
    note = f"{len(found) - len(measured)} of {len(found)} rounds: {why}" if why else ""
    together = pooled(found)
    if not measured:
        return Row((name,), (Figure("ms", (), note), *(Figure("", ()) for _ in range(7))))
    first, *others = (Figure("ms", (percentile(together, percent),)) for percent in PERCENTS)
    return Row(
        (name,),
        (
            msgspec.structs.replace(first, note=note),
            *others,
            Figure("ms", tuple(percentile(each.ms, 50) for each in measured)),
            Figure("ms", tuple(percentile(each.ms, 99) for each in measured)),
            Figure("jobs/s", tuple(each.jobs_per_s for each in measured)),
            Figure("%", tuple(each.steal_percent for each in measured)),
        ),
    )


def plot(results: Results, load: str) -> Plot:
    """Percentiles of every system."""
    series = []
    for name, found in results.found[load].items():
        together = pooled(found)
        if together:
            series.append(Series(name, *curve(together)))
    return Plot(
        f"latency-{load}",
        f"Waits, {load} load, {results.durability.words}",
        "percentiles",
        "percent of the jobs",
        "ms",
        tuple(series),
        log_y=True,
        limit=P99_MS if load != STEADY else None,
    )


def checks(results: Results) -> list[Check]:
    """Where the worker waits for each job: the two promises, and that nobody is better."""
    return [check for load in (IDLE, LOW) for check in _checks(results, load)]


def _checks(results: Results, load: Load) -> list[Check]:
    starts = {name: pooled(found) for name, found in results.found[load.name].items()}
    ours = starts.pop(OURS, [])
    if not ours:
        return []
    found = []
    for percent, limit_ms in ((50.0, P50_MS), (99.0, P99_MS)):
        own = percentile(ours, percent)
        what = f"idle to start, a job every {load.gap_s * 1000:g} ms, {results.durability.words}: p{percent:g}"
        found.append(Check(what, f"≤ {limit_ms:g} ms", f"{own:.2f} ms", own <= limit_ms))
        peers = {name: percentile(values, percent) for name, values in starts.items() if values}
        if peers:
            best = min(peers, key=lambda name: peers[name])
            found.append(
                Check(
                    f"{what}, against the others",
                    "shorter than every other's",
                    f"{own:.2f} ms; {best} {peers[best]:.2f} ms",
                    own < peers[best],
                )
            )
    return found


def _says(results: Results) -> str:
    said = []
    for load, found in results.found.items():
        ours = pooled(found.get(OURS, ()))
        if ours:
            said.append(
                f"{load}: half of Reelway's jobs start within {percentile(ours, 50):.2f} ms and 99 % within"
                f" {percentile(ours, 99):.2f} ms"
            )
    return f"With {results.durability.words}, {'; '.join(said)}." if said else ""
