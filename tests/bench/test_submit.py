"""Clients that hand jobs in, and what the scenarios submit and pipeline make of their samples."""

import asyncio

import pytest

from bench.chains.clients import Driven, drive, percentile
from bench.context import Durability
from bench.scenarios import pipeline, submit


def test_percentiles_lie_between_the_nearest_values() -> None:
    values = [4.0, 1.0, 3.0, 2.0]
    assert [percentile(values, percent) for percent in (0, 50, 100)] == [1.0, 2.5, 4.0]
    assert percentile(values, 99) == pytest.approx(3.97)
    assert percentile([7.0], 99) == 7.0


async def test_as_many_requests_as_asked_for_are_under_way_and_none_is_sent_twice() -> None:
    sent: list[int] = []
    under_way: set[int] = set()
    most: list[int] = []

    async def send(number: int) -> None:
        sent.append(number)
        under_way.add(number)
        most.append(len(under_way))
        await asyncio.sleep(0)
        under_way.discard(number)

    driven = await drive(send, 3, 10)
    assert sorted(sent) == list(range(10))
    assert max(most) == 3
    assert len(driven.latencies_s) == 10


async def test_a_refused_request_ends_the_measurement() -> None:
    async def send(number: int) -> None:
        if number == 2:
            raise RuntimeError("refused")

    with pytest.raises(ExceptionGroup):
        await drive(send, 2, 10)


def _submitted(way: submit.Way, rate: float) -> submit.Sample:
    gateway_us = 400.0 if way.through == "HTTP" else None
    return submit.Sample(Driven(10 / rate, (0.001,) * 10), 90.0, 85.0 if way.keyed else 80.0, gateway_us)


def test_every_way_has_a_row_and_a_bar() -> None:
    samples = {way: [_submitted(way, 1000.0 * way.in_flight)] for way in submit.ways()}
    made = submit.finding({Durability.NONE: samples})
    (table,) = made.tables
    assert len(table.rows) == 12
    assert len({row.labels for row in table.rows}) == 12
    assert all(len(row.figures) == len(table.columns) for row in table.rows)
    assert {series.name: series.x for series in made.plots[0].series} == {
        "kernel": ("1", "32"),
        "kernel, many tenants": ("1", "32"),
        "kernel, with keys": ("1", "32"),
        "HTTP": ("1", "32", "128"),
        "HTTP, with keys": ("1", "32", "128"),
    }
    assert "accept 2500 jobs/s" in made.says
    assert "one Redis 12500" in made.says
    assert "costs Redis +5 µs" in made.says


def test_a_quick_run_can_say_something_too() -> None:
    samples = {way: [_submitted(way, 1000.0)] for way in submit.ways(quick=True)}
    assert "1000 jobs/s" in submit.finding({Durability.NONE: samples}).says


def test_the_ideal_is_bound_by_clients_or_by_slots() -> None:
    assert pipeline.Way(0.0, "HTTP", 1).ideal is None
    assert pipeline.Way(0.01, "HTTP", 1).ideal == pytest.approx(25)
    assert pipeline.Way(0.01, "HTTP", 128).ideal == pytest.approx(800)


@pytest.mark.parametrize("quick", [False, True])
def test_the_pipeline_says_what_share_of_the_ideal_it_reaches(quick: bool) -> None:
    samples = {
        way: [pipeline.Sample(Driven(1.0, (0.045,) * (20 if way.in_flight == 1 else 600)), 300.0, 500.0, 200.0)]
        for way in pipeline.ways(quick=quick)
    }
    made = pipeline.finding({Durability.EVERYSEC: samples}, 3)
    (table,) = made.tables
    assert len(table.rows) == len(samples)
    assert all(len(row.figures) == len(table.columns) for row in table.rows)
    assert "600 jobs/s, 75 % of what their 8 slots allow" in made.says
    assert "a job alone takes 45.0 ms, 5.0 ms more than its handlers" in made.says
    assert "1000 µs of processor time, 0.60 cores" in made.says
