"""Figures: medians and spreads, and every finding goes to JSON and back."""

import statistics

import msgspec
import pytest

from bench.findings import Check, Figure, Finding, Plot, Row, Series, Table


def test_a_figure_has_a_median_and_a_spread() -> None:
    figure = Figure("ms", (3.0, 1.0, 2.0, 10.0))
    assert figure.median == 2.5
    assert figure.spread == (1.0, 10.0)


def test_a_figure_that_was_not_measured_says_why() -> None:
    figure = Figure("s", (), "not seen within 125 s")
    assert figure.note
    with pytest.raises(statistics.StatisticsError):
        _ = figure.median


def test_a_finding_survives_json() -> None:
    series = (Series("a", ("x", "y"), (1.0, 2.0)), Series("b", (1.0, 2.5), (1.0, 2.0), (0.5, 1.5), (1.5, 2.5)))
    finding = Finding(
        "chain", "Chain", "how", (Table("t", ("system",), ("rate",), (Row(("reelway",), (Figure("1/s", (1.0,)),)),)),),
        (Plot("chain", "Chain", "bars", "x", "y", series, limit=1.5),), (Check("what", "1", "2", met=False),), "says",
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding
