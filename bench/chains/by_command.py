"""What commands the scripts carry out for a chain and how long they take: side by side, and what is different."""

from collections.abc import Callable, Mapping, Sequence

from bench.chains.waiting import CALLS, LUA, Cost, Situation
from bench.findings import Figure, Row, Table

DIFFERENT = 0.05
"""Calls a chain that two situations must differ by to be named."""
TINY = 0.1
"""Calls and microseconds a chain that are not worth a row."""
Costs = Mapping[Situation, Sequence[Cost]]
"""Of every round."""


def by_command(costs: Costs) -> tuple[Table, Table]:
    """How often, and for how long."""
    return calls_table(costs), took_table(costs)


def calls_table(costs: Costs) -> Table:
    """Calls of every command, a column for each situation."""
    names = sorted(_commands(costs) - {CALLS})
    return _by_command("Calls a chain, by command", "calls", costs, [CALLS, *names], Cost.calls)


def took_table(costs: Costs) -> Table:
    """Where the time of the scripts goes, a column for each situation."""
    names = sorted(_commands(costs) - {CALLS})
    return _by_command("Microseconds a chain, by command", "µs", costs, [CALLS, LUA, *names], Cost.took_us)


def _commands(costs: Costs) -> set[str]:
    return {name for measured in costs.values() for each in measured for name in each.commands}


def _by_command(title: str, unit: str, costs: Costs, names: list[str], value: Callable[[Cost, str], float]) -> Table:
    """A row for each name that matters anywhere, the largest first behind the scripts themselves."""
    listed = {
        name: tuple(Figure(unit, tuple(value(each, name) for each in measured)) for measured in costs.values())
        for name in names
    }
    largest = {name: max(figure.median for figure in figures) for name, figures in listed.items()}
    ordered = sorted(names, key=lambda name: (name != CALLS, -largest[name]))
    rows = tuple(
        Row((name.upper() if name != LUA else name,), listed[name]) for name in ordered if largest[name] > TINY
    )
    return Table(title, ("command",), tuple(situation.name for situation in costs), rows)


def differences(one: Sequence[Cost], other: Sequence[Cost]) -> str:
    """Commands that the other situation calls more or less often, as `ZADD +2.0`."""
    names = {name for each in (*one, *other) for name in each.commands}
    found: list[tuple[float, str]] = []
    for name in sorted(names):
        more = _calls(other, name) - _calls(one, name)
        if abs(more) >= DIFFERENT:
            found.append((abs(more), f"{name.upper()} {more:+.1f}"))
    return ", ".join(text for _, text in sorted(found, reverse=True))


def _calls(measured: Sequence[Cost], name: str) -> float:
    return Figure("", tuple(each.calls(name) for each in measured)).median
