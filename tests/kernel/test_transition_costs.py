"""How many commands and keys every transition takes is recorded, so that a change of it is deliberate."""

from bench.findings import Table
from bench.record import CHECKOUT, kept
from bench.scenarios.transitions import COMMANDS, KEYS, count

Counts = dict[str, tuple[int, int]]


def counts(table: Table) -> Counts:
    """Commands and keys, by verb, case and items."""
    commands, keys = table.columns.index(COMMANDS), table.columns.index(KEYS)
    return {
        f"{', '.join(row.labels)} in a call": (
            round(row.figures[commands].median),
            round(row.figures[keys].median),
        )
        for row in table.rows
    }


def recorded() -> Table:
    (record,) = (each for each in kept(CHECKOUT.results) if each.finding.scenario == "transitions")
    return record.finding.tables[0]


def test_no_transition_takes_more_commands_than_was_recorded(redis_url: str) -> None:
    """`python -m bench transitions --record` records them anew, for a change that is worth it."""
    assert counts(count(redis_url)) == counts(recorded())
