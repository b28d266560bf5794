"""Rounds of several systems become tables, ratios of the same round, and verdicts."""

import msgspec
import pytest

from bench.context import Durability
from bench.scenarios import chain
from bench.systems import comparison
from bench.systems.measure import Measured
from bench.systems.rounds import Results
from bench.systems.system import Modes, System


def system(name: str, language: str) -> System:
    words = {word: word for word in ("settings", "acknowledged", "recovery", "fence", "events", "results", "source")}
    modes = {"chain_how": f"how {name} does it"}
    return msgspec.convert(
        {"name": name, "language": language, "worker": ("w",), "client": ("c",), "modes": modes, **words}, System
    )


def rounds(*rates: float, broken: int | None = None) -> dict[int, Measured]:
    return {
        number: Measured(jobs=100, rate=rate, submit_rate=1.0, worker_us=100.0, redis_us=50.0)
        for number, rate in enumerate(rates, 1)
        if number != broken
    }


def results(durability: Durability = Durability.EVERYSEC, **by_system: dict[int, Measured]) -> Results:
    languages = {"reelway": "this", "bullmq": "node"}
    systems = tuple(system(name, languages.get(name, "python")) for name in by_system)
    return Results(durability, 3, systems, by_system)


def test_ratios_are_those_of_the_same_round() -> None:
    assert comparison.ratios(rounds(30, 20, 10), rounds(10, 10, 10)) == (3, 2, 1)
    assert comparison.ratios(rounds(30, 20, 10), rounds(10, 5, 10, broken=2)) == (3, 1)


def test_the_best_of_the_others_is_the_best_of_that_round() -> None:
    others = [rounds(10, 1, 1), rounds(2, 20, 1, broken=3)]
    assert comparison.ratios_to_best(rounds(40, 40, 40), others) == (4, 2, 40)
    assert comparison.ratios_to_best(rounds(40), []) == ()


def test_a_table_has_the_fastest_first_and_says_which_rounds_are_missing() -> None:
    found = results(bullmq=rounds(10, 11, 12, broken=2), reelway=rounds(20, 22, 24))
    table = comparison.table(found, "Chains", "chains", "how", {"bullmq": "flow"})
    assert [row.labels for row in table.rows] == [("reelway", ""), ("bullmq", "flow")]
    ours, theirs = table.rows
    assert ours.figures[0].values == (20, 22, 24)
    assert ours.figures[1].values == ()
    assert theirs.figures[1].values == (2, 2)
    assert theirs.figures[0].note == "1 of 3 rounds broke"
    assert all(len(row.figures) == len(table.columns) for row in table.rows)


def test_a_system_that_never_ended_a_round_has_a_row_and_no_bar() -> None:
    found = results(reelway=rounds(20), rq={})
    assert comparison.table(found, "t", "jobs", "x", {}).rows[1].figures[0].values == ()
    (series,) = comparison.bars([found], "noop", "t", "jobs").series
    assert series.x == ("reelway",)


def test_bars_keep_the_order_of_the_first_durability() -> None:
    found = [
        results(reelway=rounds(20, 30), bullmq=rounds(10, 11)),
        results(Durability.NONE, reelway=rounds(1, 2), bullmq=rounds(3, 4)),
    ]
    plot = comparison.bars(found, "chain", "t", "chains")
    assert [series.x for series in plot.series] == [("reelway", "bullmq")] * 2
    assert (plot.series[0].y, plot.series[0].low, plot.series[0].high) == ((25, 10.5), (20, 10), (30, 11))


def test_the_chain_is_judged_against_node_and_against_the_best_python_system() -> None:
    found = results(reelway=rounds(3000, 3200, 3100), bullmq=rounds(2000, 2000, 2000), saq=rounds(500, 520, 530))
    node, python = chain.checks(found)
    assert (node.met, node.found) == (True, "1.55 × (1.50 to 1.60)")
    assert (python.met, python.found) == (True, "6.00 × (5.85 to 6.15)")
    assert "saq" in python.what


def test_without_the_append_only_file_more_is_wanted_of_the_chain() -> None:
    found = results(Durability.NONE, reelway=rounds(1700), bullmq=rounds(1000), saq=rounds(10))
    (node,) = chain.checks(found)
    assert (node.met, node.wanted) == (False, "≥ 1.8 ×")


def test_nothing_is_judged_against_a_system_that_did_not_take_part() -> None:
    assert chain.checks(results(reelway=rounds(1000))) == []


@pytest.mark.parametrize(
    ("worker", "redis", "word"), [(60, 97, "the bound is Redis"), (98, 90, "the bound is the worker"), (40, 40, "time")]
)
def test_what_bounds_a_system_is_what_is_busy(worker: float, redis: float, word: str) -> None:
    assert word in comparison.bound_of(worker, redis)


def test_a_system_takes_part_in_the_modes_that_it_knows() -> None:
    peer = msgspec.structs.replace(system("arq", "python"), modes=Modes(chain=False))
    assert peer.runs("noop")
    assert not peer.runs("chain")
