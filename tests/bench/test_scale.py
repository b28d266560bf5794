"""What the scenario scale makes of its samples, and how processor time and tenants are counted."""

from collections import Counter

import pytest

from actors.kernel import Partitions
from bench.chains.fleet import Total, newest, together
from bench.chains.load import tenants_in
from bench.chains.orders import STAGES, following
from bench.chains.spent import Spent, busy_percent, parse_cores
from bench.context import Context, Durability
from bench.scenarios import scale
from bench.scenarios.scale import Sample, Setup

BEFORE = "cpu  30 0 30 940 0 0 0 0 0 0\ncpu0 10 0 10 480 0 0 0 0 0 0\ncpu1 20 0 20 460 0 0 0 0 0 0\nintr 5\n"
AFTER = "cpu  90 0 80 1030 0 0 0 0 0 0\ncpu0 60 0 40 500 0 0 0 0 0 0\ncpu1 30 0 40 500 20 0 0 10 0 0\nintr 9\n"


def test_cores_are_busy_with_everything_but_idling_and_waiting_for_a_disk() -> None:
    busy = busy_percent(parse_cores(BEFORE), parse_cores(AFTER))
    assert busy == pytest.approx({0: 80.0, 1: 40.0})


def test_a_core_that_did_not_tick_has_no_share() -> None:
    assert busy_percent(parse_cores(BEFORE), parse_cores(BEFORE)) == {}


def test_tenants_are_spread_evenly_over_the_partitions_in_turn() -> None:
    partitions = Partitions(4)
    tenants = tenants_in(partitions, 3)
    assert len(set(tenants)) == 12
    assert [partitions.of_tenant(tenant) for tenant in tenants] == [*partitions] * 3


def test_a_chain_goes_through_every_stage_once() -> None:
    assert [following(stage) for stage in STAGES] == [*STAGES[1:], None]


def test_processes_are_added_up_from_the_first_begin_to_the_last_end() -> None:
    reports = [
        {"event": "total", "process": 1, "chains": 2, "first_ns": 10, "last_ns": 20, "processor_ns": 5, "takes": 1,
         "taken": 2},
        {"event": "total", "process": 2, "chains": 4, "first_ns": 5, "last_ns": 40, "processor_ns": 6, "takes": 2,
         "taken": 6},
        {"event": "total", "process": 1, "chains": 3, "first_ns": 10, "last_ns": 25, "processor_ns": 7, "takes": 2,
         "taken": 4},
        {"event": "prepared", "process": 3},
    ]  # fmt: skip
    assert together(newest(reports)) == Total(7, 5, 40, 13, 4, 10)


def _sample(chains: int = 100, seconds: float = 1.0, main_s: tuple[float, ...] = (0.02,), batch: float = 25) -> Sample:
    redis = tuple(Spent(each * 1.5, each) for each in main_s)
    return Sample(chains, seconds, 0.03, redis, {0: 90.0, 1: 80.0}, batch, 0.5)


def test_costs_are_those_of_a_chain() -> None:
    sample = _sample(main_s=(0.01, 0.03))
    assert sample.worker_us == pytest.approx(300)
    assert sample.redis_us == pytest.approx(600)
    assert sample.main_us == pytest.approx(400)
    assert sample.carries == pytest.approx(2500)
    assert sample.share(1) == pytest.approx(3)


def test_every_installation_has_a_row_in_every_table_and_a_bar() -> None:
    samples = {
        setup: [_sample(main_s=(0.01,) * setup.nodes), _sample(seconds=0.5, main_s=(0.01,) * setup.nodes)]
        for setup in scale.setups()
    }
    made = scale.finding({Durability.EVERYSEC: samples, Durability.NONE: samples}, 100, 2)
    rates, loads, *_, carrying = made.tables
    assert len(rates.rows) == len(loads.rows) == 12
    assert len(carrying.rows) == 24
    assert all(len(row.figures) == len(table.columns) for table in made.tables for row in table.rows)
    assert all(len(row.labels) == len(table.labels) for table in made.tables for row in table.rows)
    assert Counter(len(series.x) for plot in made.plots for series in plot.series) == {3: 8}
    assert [plot.name for plot in made.plots] == ["scale-everysec", "scale-none"]


def test_a_machine_with_too_few_cores_is_told_from_one_with_enough() -> None:
    crowded = {Setup(1, 1, 1): [_sample()], Setup(3, 4, 4): [_sample(main_s=(0.01, 0.01, 0.04))]}
    said = scale.says(Durability.NONE, crowded)
    assert "no measurement of how a cluster scales" in said
    assert "share 2 cores" in said
    assert "spent 400 µs a chain" in said
    assert "at 2500 chains/s" in said
    roomy = {Setup(1, 1, 1): [_sample()], Setup(3, 4, 1): [_sample(main_s=(0.01,) * 3)]}
    wide = {setup: [_with_cores(each, 4) for each in samples] for setup, samples in roomy.items()}
    assert "no measurement" not in scale.says(Durability.NONE, wide)


def _with_cores(sample: Sample, cores: int) -> Sample:
    return Sample(
        sample.chains, sample.seconds, sample.worker_s, sample.redis, dict.fromkeys(range(cores), 50.0), sample.batch, 0
    )


def test_half_of_the_rounds_rounded_up() -> None:
    assert [scale.rounds_of(Context(rounds=rounds)) for rounds in (1, 2, 5)] == [1, 1, 3]
    assert scale.rounds_of(Context(rounds=5, quick=True)) == 1
