"""The benchmark completes every job in both halves and says what it measured."""

from pathlib import Path

import msgspec
import pytest

from bench import convert, recovery
from bench.throughput import Report, markdown, measure

ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted((ROOT / "bench" / "results").glob("throughput-*.json"))


def test_a_small_run_reports_both_halves() -> None:
    report = measure(jobs=200, rounds=1, partitions=2, program=None)
    (round_,) = report.rounds
    for half in (round_.actors, round_.calls):
        assert half.jobs_per_s > 0
        assert half.redis_cpu_ms_per_job > 0
        assert half.take_batch >= 1
    text = markdown(report)
    assert "| actors |" in text
    assert report.machine.processor in text


@pytest.mark.parametrize("result", RESULTS, ids=lambda path: path.stem)
def test_the_page_shows_the_committed_figures(result: Path) -> None:
    report = msgspec.json.decode(result.read_bytes(), type=Report)
    assert markdown(report).strip() in (ROOT / "docs" / "benchmarks.md").read_text("utf-8")


def test_the_page_shows_the_committed_figures_of_a_conversion() -> None:
    stored = (ROOT / "bench" / "results" / "convert.json").read_bytes()
    report = msgspec.json.decode(stored, type=convert.Report)
    assert convert.markdown(report).strip() in (ROOT / "docs" / "benchmarks.md").read_text("utf-8")


def test_the_page_shows_the_committed_figures_of_a_recovery_and_they_keep_the_promise() -> None:
    stored = (ROOT / "bench" / "results" / "recovery.json").read_bytes()
    report = msgspec.json.decode(stored, type=recovery.Report)
    assert recovery.markdown(report).strip() in (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert max(standstill_s for case in report.cases for standstill_s in case.all_s) <= recovery.PROMISED_S
