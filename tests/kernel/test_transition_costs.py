"""How many commands and keys every transition takes is recorded, so that a change of it is deliberate."""

import msgspec

from bench.transitions import PAGE, RESULT, Report, Row, count, markdown

Counts = dict[str, tuple[int, int]]


def counts(rows: list[Row]) -> Counts:
    """Commands and keys, by verb, case and items."""
    return {
        f"{row.verb}, {row.what}, {each.items} in a call": (each.commands, each.keys)
        for row in rows
        for each in row.figures
    }


def recorded() -> Report:
    return msgspec.json.decode(RESULT.read_bytes(), type=Report)


def test_no_transition_takes_more_commands_than_was_recorded(redis_url: str) -> None:
    """`python -m bench.transitions --record` records them anew, for a change that is worth it."""
    assert counts(count(redis_url)) == counts(recorded().rows)


def test_the_page_shows_the_recorded_costs() -> None:
    assert markdown(recorded()) in PAGE.read_text("utf-8")
