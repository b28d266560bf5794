"""A measured round: its window, its processor times, its counts."""

from typing import Any

import pytest

from bench.systems.measure import Measured, Sample, Window, at, window_of
from bench.systems.rounds import COUNTS, JUDGED_S, ROUND_S, choose_count, following_count


def ended(process: int, first_ns: int, last_ns: int, jobs: int) -> dict[str, Any]:
    return {"event": "ended", "process": process, "first_ns": first_ns, "last_ns": last_ns, "jobs": jobs}


def test_the_window_is_open_until_all_jobs_have_ended() -> None:
    seen = [{"event": "ready", "pid": 7}, ended(7, 100, 150, 4)]
    assert window_of(seen, 10) is None
    assert window_of([*seen, ended(7, 100, 300, 10)], 10) == Window(100, 300)


def test_processes_that_share_the_work_count_together_each_with_its_last_total() -> None:
    seen = [ended(7, 100, 150, 2), ended(8, 90, 160, 5), ended(7, 100, 400, 5)]
    assert window_of(seen, 10) == Window(90, 400)
    assert window_of(seen, 11) is None


def test_processor_times_are_interpolated_between_readings() -> None:
    samples = [Sample(100, 1.0, 10.0), Sample(200, 2.0, 10.0), Sample(300, 2.0, 30.0)]
    assert at(samples, 150) == Sample(150, 1.5, 10.0)
    assert at(samples, 225) == Sample(225, 2.0, 15.0)
    assert at(samples, 200) == samples[1]


def test_outside_of_the_readings_the_nearest_one_counts() -> None:
    samples = [Sample(100, 1.0, 10.0), Sample(200, 2.0, 20.0)]
    assert at(samples, 50) == samples[0]
    assert at(samples, 999) == samples[1]


def test_how_busy_a_core_was_follows_from_rate_and_cost() -> None:
    measured = Measured(jobs=1000, rate=2000, submit_rate=1, worker_us=250, redis_us=400)
    assert measured.worker_busy_percent == pytest.approx(50)
    assert measured.redis_busy_percent == pytest.approx(80)


@pytest.mark.parametrize(
    ("rate", "most", "count"),
    [(12_000, 20_000, 20_000), (2900, 20_000, 10_000), (2100, 5000, 5000), (50, 5000, 200), (3, 5000, 100)],
)
def test_a_round_has_as_many_jobs_as_fit_into_its_time(rate: float, most: int, count: int) -> None:
    assert choose_count(rate, most) == count
    assert count / rate <= ROUND_S or count == COUNTS[0]


def test_warm_ups_grow_until_one_is_long_enough_to_judge_by() -> None:
    short = Measured(jobs=200, rate=200 / (JUDGED_S / 2), submit_rate=1, worker_us=1, redis_us=1)
    long = Measured(jobs=200, rate=200 / (JUDGED_S * 2), submit_rate=1, worker_us=1, redis_us=1)
    assert following_count(200, short, 20_000) == 1000
    assert following_count(200, short, 500) == 500
    assert following_count(500, short, 500) is None
    assert following_count(200, long, 20_000) is None
