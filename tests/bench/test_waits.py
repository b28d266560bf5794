"""Waits for a start: percentiles, which jobs count, and the verdicts on them."""

from typing import Any

import pytest

from bench.context import Durability
from bench.scenarios import latency
from bench.scenarios.latency import STEADY_MOST, Results, loads_of
from bench.systems.percentiles import curve, percentile
from bench.systems.process import Settings
from bench.systems.rounds import Pace
from bench.systems.waits import UNCOUNTED, Waits, started_ms, submitted


def settings(position: int, jobs: int) -> Settings:
    return Settings(redis="", mode="latency", jobs=jobs + UNCOUNTED, report="", first=position * 1_000_000)


def started(job: int, ms: float) -> dict[str, Any]:
    return {"event": "started", "job": job, "at_ns": 0, "latency_ns": ms * 1e6}


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (50, 95, 99, 99.9, 100)] == [50, 95, 99, 100, 100]
    assert percentile([3.0], 50) == 3.0
    assert percentile([1.0, 2.0], 0) == 1.0
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_a_curve_ends_where_a_percent_is_less_than_one_value() -> None:
    assert curve([1.0] * 50)[0] == (50, 75, 90, 95)
    assert curve([1.0] * 1000)[0][-1] == 99.9


def test_the_first_jobs_of_a_load_and_those_of_other_loads_do_not_count() -> None:
    ours = settings(1, 2)
    seen = [started(3, 1.0), *(started(ours.first + number, number) for number in range(UNCOUNTED + 1))]
    assert started_ms(seen, ours) is None
    seen.append(started(ours.first + UNCOUNTED + 1, 9.0))
    assert started_ms(seen, ours) == (UNCOUNTED, 9.0)


def test_a_job_that_started_twice_counts_as_it_started_first() -> None:
    ours = settings(0, 1)
    assert started_ms([started(UNCOUNTED, 2.0), started(UNCOUNTED, 100.0)], ours) == (2.0,)


def test_a_load_is_handed_in_when_as_many_clients_have_told_as_there_were_loads() -> None:
    seen = [{"event": "submitted", "jobs": 1, "seconds": 2.0}]
    assert submitted(seen, settings(0, 1)) == 2.0
    assert submitted(seen, settings(1, 1)) is None


def test_the_steady_load_is_half_of_what_the_system_can_do() -> None:
    *_, slow = loads_of(Pace(500, 400.0), quick=False)
    assert (slow.jobs, slow.gap_s) == (600, 1 / 200)
    *_, fast = loads_of(Pace(20_000, 12_000.0), quick=False)
    assert fast.gap_s == pytest.approx(1 / STEADY_MOST)
    assert [load.name for load in loads_of(None, quick=False)] == ["idle", "low"]


def waits(*ms: float) -> Waits:
    return Waits(ms, 3.0, 0.0, 0.0)


def test_the_promises_are_judged_over_all_rounds_together_and_against_the_best() -> None:
    idle: dict[str, list[Waits | str]] = {
        "reelway": [waits(1.0, 1.0), waits(1.2, 4.0)],
        "saq": [waits(2.0, 2.5), "late"],
        "rq": ["the worker broke"],
    }
    found = latency.checks(Results(Durability.EVERYSEC, {"idle": idle, "low": {}}))
    assert [(check.met, check.found) for check in found] == [
        (True, "1.00 ms"), (True, "1.00 ms; saq 2.00 ms"), (False, "4.00 ms"), (False, "4.00 ms; saq 2.50 ms"),
    ]  # fmt: skip


def test_a_table_says_why_rounds_are_missing() -> None:
    results = Results(Durability.NONE, {"low": {"rq": ["not seen within 30 s"], "reelway": [waits(1.0), waits(3.0)]}})
    table = latency.table(results, "low")
    ours, theirs = table.rows
    assert ours.labels == ("reelway",)
    assert [figure.values for figure in ours.figures[:5]] == [(1.0,), (3.0,), (3.0,), (3.0,), (1.0, 3.0)]
    assert theirs.figures[0].note == "1 of 1 rounds: not seen within 30 s"
    assert all(len(row.figures) == len(table.columns) for row in table.rows)
    assert [series.name for series in latency.plot(results, "low").series] == ["reelway"]
