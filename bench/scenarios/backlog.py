"""Whether a chain costs the same however much waits, and however much others hold."""

import asyncio
from collections import defaultdict
from contextlib import ExitStack

import msgspec

from actors.kernel.worker import ITEMS_PER_CALL
from bench.chains.by_command import by_command, differences
from bench.chains.orders import CONCURRENCY, STAGES
from bench.chains.waiting import BATCH, CALLS, EACH, TENANTS, Cost, Place, Situation, Worked, digits
from bench.context import Context, Durability
from bench.findings import Check, Figure, Finding, Plot, Row, Series, Table

WHAT = "cost of a chain with 10, 1 000 and 100 000 jobs waiting and with 10 000 leases held"
WAITING, QUICK_WAITING = (10, 1000, 100_000), (10, 100, 400)
LEASES, QUICK_LEASES = (100, 10_000), (50, 200)
CHAINS, QUICK_CHAINS = 2000, 100
ALLOWED = 1.2
"""Largest cost over the smallest."""
ALLOWED_CALLS = 1.05
"""Most commands over the fewest."""
BEAT_S = 2.5
PLACES = ("inbox", "hold")

HOW = f"""\
Every situation is made once on a server of its own; then all are measured in turns. The figure is of {{chains}}
chains in each round: a batch of {BATCH} is taken and ended at each of the {len(STAGES)} stages, and then {BATCH} jobs
of the same tenants are handed in, so that as much waits after a turn as before. Jobs are taken from the front, and
new ones go behind all that wait. The size of the calls is fixed ({BATCH} jobs of {TENANTS} tenants), because a call
with more jobs or fewer tenants costs less for each job: only the surroundings differ. One connection, one call at a
time; the rate is that of this driver, not of a worker. Redis CPU is that of INFO cpu, all threads. No rewrite of the
append-only file falls into a window.

*In the inbox* no tenant has more than {EACH} jobs, and none is held. *In the hold* there are {TENANTS} tenants, whose
parts of the inbox ({CONCURRENCY} hints each, as for a worker with {CONCURRENCY} slots) are full beside those that
wait: every chain waits in its tenant's hold first, then in the inbox. *Leases of others* are jobs of a middle stage
and of the same tenants that another worker has taken for two hours, so that renewing them is not in the figures; that
has a table of its own.

The second table of each kind is of a worker process as it is shipped, measured afterwards in the same situations:
every chain that ends hands in its successor. With few jobs in the installation a take finds few, and each costs more.\
"""


class Round(msgspec.Struct, frozen=True):
    """One situation in one round of each kind."""

    cost: Cost
    worked: Worked
    beat_us: float | None
    """None where nothing is held by others."""


Rounds = dict[Situation, list[Round]]
LABELS = ("waiting", "where", "leases of others")


def situations(*, quick: bool = False) -> list[Situation]:
    """Waiting jobs in both places, then leases beside a backlog of the middle size."""
    waiting, leases = (QUICK_WAITING, QUICK_LEASES) if quick else (WAITING, LEASES)
    found = [Situation(where, many) for where in PLACES for many in waiting]
    return [*found, *(Situation("inbox", waiting[1], held) for held in leases)]


def run(context: Context) -> Finding:
    """All situations stand beside each other, each on a server of its own, and are measured in turns."""
    chains = QUICK_CHAINS if context.quick else CHAINS
    found: dict[Durability, Rounds] = {}
    for durability in context.durabilities:
        with ExitStack() as stack:
            places = []
            for situation in situations(quick=context.quick):
                place = Place(stack.enter_context(context.server(durability)), situation)
                asyncio.run(place.prepare())
                context.say(f"backlog, {durability}: {situation.name} stand ready")
                places.append(place)
            found[durability] = measure(context, durability, places, chains)
    return finding(found, chains)


def measure(context: Context, durability: Durability, places: list[Place], chains: int) -> Rounds:
    """First every round in lockstep, which leaves the order of what waits as it was, then those of a worker."""
    costs: dict[Situation, list[Cost]] = defaultdict(list)
    others: dict[Situation, list[tuple[Worked, float | None]]] = defaultdict(list)
    rounds = 1 if context.quick else context.rounds
    for number in range(rounds):
        for place in context.order(places, number):
            name = place.situation.name
            cost = asyncio.run(place.cost(chains))
            costs[place.situation].append(cost)
            context.say(
                f"backlog, {durability}, round {number + 1}: {name}: Redis {cost.redis_us:.0f} µs and"
                f" {cost.all_calls:.1f} commands a chain"
            )
    for number in range(rounds):
        for place in context.order(places, number):
            worked = place.work(chains)
            beat_us = asyncio.run(place.beat(5 * chains)) if place.situation.leases else None
            others[place.situation].append((worked, beat_us))
            context.say(
                f"backlog, {durability}, round {number + 1}: {place.situation.name}: {worked.rate:.0f} chains/s"
            )
    return {
        place.situation: [
            Round(cost, *more) for cost, more in zip(costs[place.situation], others[place.situation], strict=True)
        ]
        for place in places
    }


def redis_figure(measured: list[Round]) -> Figure:
    """What is to be flat."""
    return Figure.of("µs", [each.cost.redis_us for each in measured])


def cost_table(durability: Durability, rounds: Rounds) -> Table:
    """The lockstep: same calls, same batches, other surroundings."""
    rows = tuple(
        Row(
            _labels(situation),
            (
                redis_figure(measured),
                Figure.of("µs", [each.cost.main_us for each in measured]),
                Figure.of("calls", [each.cost.all_calls for each in measured]),
                Figure.of("calls", [each.cost.calls(CALLS) for each in measured]),
                Figure.of("chains/s", [each.cost.rate for each in measured]),
                Figure.of("MiB", [each.cost.memory_mib for each in measured]),
            ),
        )
        for situation, measured in rounds.items()
    )
    columns = ("Redis CPU a chain", "its main thread", "commands a chain", "scripts a chain", "rate", "Redis memory")
    return Table(f"One chain in calls of {BATCH}, {durability.words}", LABELS, columns, rows)


def _costs(measured: list[Round]) -> list[Cost]:
    return [each.cost for each in measured]


def _labels(situation: Situation) -> tuple[str, ...]:
    return digits(situation.waiting), situation.where, digits(situation.leases)


def worked_table(durability: Durability, rounds: Rounds) -> Table:
    """A worker process as it is shipped."""
    rows = tuple(
        Row(
            _labels(situation),
            (
                Figure.of("chains/s", [each.worked.rate for each in measured]),
                Figure.of("µs", [each.worked.redis_us for each in measured]),
                Figure.of("µs", [each.worked.worker_us for each in measured]),
                Figure.of("jobs", [each.worked.batch for each in measured]),
            ),
        )
        for situation, measured in rounds.items()
    )
    columns = ("rate", "Redis CPU a chain", "worker CPU a chain", "jobs in a take")
    return Table(f"One worker process, {durability.words}", LABELS, columns, rows)


def beat_table(found: dict[Durability, Rounds]) -> Table:
    """What the leases themselves cost while they are renewed."""
    rows = []
    for durability, rounds in found.items():
        for situation, measured in rounds.items():
            beats_us = [each.beat_us for each in measured if each.beat_us is not None]
            if beats_us:
                share = [100 * beat_us / 1e6 * situation.leases / BEAT_S for beat_us in beats_us]
                rows.append(
                    Row(
                        (durability.words, digits(situation.leases)), (Figure.of("µs", beats_us), Figure.of("%", share))
                    )
                )
    columns = ("Redis CPU a beat", "of one core, for all of them")
    title = f"Renewing leases: {ITEMS_PER_CALL} in a call, each every {BEAT_S:g} s"
    return Table(title, ("durability", "leases"), columns, tuple(rows))


def flat(rounds: Rounds, where: str) -> tuple[float, Situation, Situation]:
    """Largest over smallest cost of the situations of one place, and which they were."""
    medians = {
        situation: redis_figure(measured).median for situation, measured in rounds.items() if situation.where == where
    }
    low, high = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    return medians[high] / medians[low], low, high


def checks(durability: Durability, rounds: Rounds, where: str) -> tuple[Check, ...]:
    """The promise of a flat cost, in time and in commands."""
    ratio, low, high = flat(rounds, where)
    leases = max(situation.leases for situation in rounds)
    beside = f", and with {digits(leases)} leases" if where == "inbox" else ""
    waiting = sorted(situation.waiting for situation in rounds)
    many = f"{digits(waiting[0])} to {digits(waiting[-1])}"
    what = f"of a chain with {many} waiting in the {where}{beside}, {durability.words}"
    calls = [
        Figure.of("", [each.cost.all_calls for each in measured]).median
        for situation, measured in rounds.items()
        if situation.where == where
    ]
    return (
        Check(
            f"Redis CPU {what}",
            f"the largest at most {ALLOWED:g} times the smallest",
            f"{ratio:.2f} ({high.name} against {low.name})",
            ratio <= ALLOWED,
        ),
        Check(
            f"Commands {what}",
            f"the most at most {ALLOWED_CALLS:g} times the fewest",
            f"{min(calls):.1f} to {max(calls):.1f}",
            max(calls) <= ALLOWED_CALLS * min(calls),
        ),
    )


def plot(durability: Durability, rounds: Rounds) -> Plot:
    """Lines: cost by the number of those that wait."""
    series = []
    kinds = dict.fromkeys((situation.where, situation.leases) for situation in rounds)
    for where, leases in kinds:
        figures = {
            situation.waiting: redis_figure(measured)
            for situation, measured in rounds.items()
            if (situation.where, situation.leases) == (where, leases)
        }
        spreads = [figure.spread for figure in figures.values()]
        name = f"waiting in the {where}" + (f", {digits(leases)} leases" if leases else "")
        medians = tuple(figure.median for figure in figures.values())
        lows, highs = tuple(low for low, _ in spreads), tuple(high for _, high in spreads)
        series.append(Series(name, tuple(figures), medians, lows, highs))
    title = f"What a chain costs Redis, {durability.words}"
    return Plot(f"backlog-{durability}", title, "lines", "jobs waiting", "µs a chain", tuple(series), log_x=True)


def says(durability: Durability, rounds: Rounds) -> str:
    """What follows for one durability."""
    text = f"With {durability.words}:"
    for where in PLACES:
        ratio, low, high = flat(rounds, where)
        names = differences(_costs(rounds[low]), _costs(rounds[high]))
        text += (
            f" of those with jobs waiting in the {where}, the dearest situation ({high.name}) costs {ratio:.2f} times"
            f" the cheapest ({low.name}); "
            + (f"it differs by {names} a chain" if names else "the commands are the same")
            + (";" if where != PLACES[-1] else ".")
        )
    inbox, hold = (
        next(s for s in rounds if s.where == where and s.waiting == max(o.waiting for o in rounds)) for where in PLACES
    )
    more = redis_figure(rounds[hold]).median / redis_figure(rounds[inbox]).median
    return text + (
        f" A job that waits in the hold costs {more:.2f} times one that waits in the inbox, as it is handed over once"
        f" more: {differences(_costs(rounds[inbox]), _costs(rounds[hold]))} a chain."
    )


def finding(found: dict[Durability, Rounds], chains: int) -> Finding:
    """Puts the rounds as a report."""
    tables = [table(each, rounds) for each, rounds in found.items() for table in (cost_table, worked_table)]
    first = {situation: _costs(measured) for situation, measured in next(iter(found.values())).items()}
    return Finding(
        scenario="backlog",
        title="The cost of a chain, by what waits and what others hold",
        how=HOW.format(chains=chains),
        tables=(*tables, beat_table(found), *by_command(first)),
        plots=tuple(plot(durability, rounds) for durability, rounds in found.items()),
        checks=tuple(
            check for each, rounds in found.items() for where in PLACES for check in checks(each, rounds, where)
        ),
        says="\n\n".join(says(durability, rounds) for durability, rounds in found.items()),
    )
