"""A report shows every figure once, says what was not met, and the page is the one of what is recorded."""

from pathlib import Path

import msgspec
import pytest

from bench import record, report
from bench.context import Durability
from bench.findings import Check, Figure, Finding, Plot, Row, Series, Table
from bench.machine import Machine
from bench.record import CHECKOUT, Record

SPACE = "\N{NO-BREAK SPACE}"
MACHINE = Machine("A processor", 2, 24 * 2**30, "Linux 6", "3.11.7", 0.25)
TABLE = Table(
    "Chains",
    ("system", "how"),
    ("rate", "first | last"),
    (
        Row(("reelway", "script"), (Figure("chains/s", (5200, 5000, 5300.4)), Figure("s", (1.5,)))),
        Row(("other", "flow"), (Figure("chains/s", (), "broke"), Figure("ms", (2.0, 3.0), "1 of 3 rounds broke"))),
    ),
)
PLOT = Plot("chain", "Chains", "bars", "", "chains/s", (Series("everysec", ("reelway",), (5200.0,)),))
CHECKS = (Check("faster", "≥ 1.5 ×", "1.70 ×", met=True), Check("much faster", "≥ 6 ×", "5.90 ×", met=False))


def recorded(*, quick: bool = False, checks: tuple[Check, ...] = CHECKS, scenario: str = "chain") -> Record:
    finding = Finding(scenario, "Chain of four stages", "The method.", (TABLE,), (PLOT,), checks, "What follows.")
    return Record(
        finding=finding,
        machine=MACHINE,
        date="2026-11-21",
        seconds=12.0,
        rounds=3,
        quick=quick,
        seed=1,
        durabilities=(Durability.EVERYSEC,),
        redis="7.0.15",
        versions={},
        steal_percent=0.5,
        other_percent=2.0,
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"), (12, "12"), (13742.4, f"13{SPACE}742"), (1_000_000, f"1{SPACE}000{SPACE}000"),
        (99.96, "100"), (9.996, "10.0"), (0.9996, "1.00"),
        (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.123"), (0.00123, "0.0012"), (-5.5, "-5.50"), (250.6, "251"),
    ],
)  # fmt: skip
def test_numbers_are_said_with_the_digits_that_count(value: float, said: str) -> None:
    assert report.number(value) == said


def test_a_table_has_the_median_the_spread_and_the_notes() -> None:
    lines = report.page([recorded()], plain=True).splitlines()
    assert "| system | how | rate, chains/s | first \\| last |" in lines
    assert f"| reelway | script | 5{SPACE}200 (5{SPACE}000–5{SPACE}300) | 1.50{SPACE}s |" in lines
    assert f"| other | flow | broke | 2.50{SPACE}ms (2–3); 1 of 3 rounds broke |" in lines


def test_what_was_not_met_is_said_plainly() -> None:
    page = report.page([recorded()], plain=True)
    assert "1 of 2 were met." in page
    assert "| chain | much faster | ≥ 6 × | 5.90 × | **not met** |" in page
    assert "It was met." in report.page([recorded(checks=CHECKS[:1])], plain=True)


def test_a_run_says_what_it_was_made_on() -> None:
    page = report.page([recorded()], plain=True)
    assert "A processor, 2 cores, 24 GiB, Linux 6, Python 3.11.7; Redis 7.0.15; 2026-11-21." in page
    assert "steal 0.5 %" in page
    assert report.QUICK not in page
    assert report.QUICK in report.page([recorded(quick=True)], plain=True)


def test_pictures_are_shown_where_they_were_drawn() -> None:
    assert "![Chains](benchmarks/chain.svg)" in report.page([recorded()], {"chain"}, "benchmarks")
    without = report.page([recorded()])
    assert ".svg" not in without
    assert report.NO_PICTURES in without
    assert report.NO_PICTURES not in report.page([recorded()], plain=True)


def test_what_was_compared_is_said_with_its_versions() -> None:
    versions = {"reelway": {"python": "3.11.7"}, "bullmq": {"node": "20.20.2", "bullmq": "6.7.0"}}
    page = report.page([msgspec.structs.replace(recorded(), versions=versions)], plain=True)
    assert "## The systems" in page
    assert "\n| BullMQ |" in page
    assert "Installed: node 20.20.2, bullmq 6.7.0." in page
    assert "## The systems" not in report.page([recorded()], plain=True)


def test_a_table_may_be_on_another_page(tmp_path: Path) -> None:
    place = record.inside(tmp_path)
    first, last = report.marks("transitions")
    other = tmp_path / "operations.md"
    other.write_text(f"before\n{first}\nold\n{last}\nafter\n", "utf-8")
    report.write([recorded(scenario="transitions")], place)
    assert "| reelway |" in other.read_text("utf-8")
    assert "old" not in other.read_text("utf-8")
    page = place.page.read_text("utf-8")
    assert "| reelway |" not in page
    assert "[operations.md](operations.md)" in page


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    made = recorded()
    record.keep(made, tmp_path)
    assert record.kept(tmp_path) == [made]


def test_the_page_shows_what_is_recorded() -> None:
    """`python -m bench report` writes it anew."""
    drawn = {picture.stem for picture in CHECKOUT.pictures.glob("*.svg")}
    records = record.kept(CHECKOUT.results)
    page = report.page(records, drawn, CHECKOUT.link, report.ELSEWHERE)
    assert CHECKOUT.page.read_text("utf-8") == page
    for each in records:
        if each.finding.scenario in report.ELSEWHERE:
            other = CHECKOUT.page.with_name(report.ELSEWHERE[each.finding.scenario])
            assert report.inserted(each) in other.read_text("utf-8")


def test_no_quick_run_is_recorded() -> None:
    assert [each.finding.scenario for each in record.kept(CHECKOUT.results) if each.quick] == []
