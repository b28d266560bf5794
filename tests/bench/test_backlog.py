"""Situations of the scenario backlog, and what it makes of its rounds."""

import pytest

from bench.chains.by_command import by_command, differences
from bench.chains.waiting import BATCH, CALLS, LUA, Cost, Situation, Worked, commands_of, digits
from bench.context import Durability
from bench.scenarios import backlog
from bench.scenarios.backlog import Round


def _cost(redis_us: float, **calls: int) -> Cost:
    commands = {name: (many, 10.0 * many) for name, many in calls.items()} | {CALLS: (20, 5000.0)}
    return Cost(10, 0.1, redis_us * 10 / 1e6, redis_us * 10 / 1e6, 1.0, commands)


def _round(redis_us: float, **calls: int) -> Round:
    return Round(_cost(redis_us, **calls), Worked(1000, 100, 200, 25), None)


@pytest.mark.parametrize("situation", [each for each in backlog.situations() if each.where == "inbox"])
def test_a_batch_never_has_a_tenant_twice_however_often_what_waits_goes_round(situation: Situation) -> None:
    tenants = situation.tenants
    queue = [number % tenants for number in range(situation.population)]
    assert tenants >= BATCH
    # The first batches, those that go over the end of what was handed in first, and the ones behind it.
    for first in (0, BATCH, len(queue) // BATCH * BATCH):
        assert len(set([*queue, *queue][first : first + BATCH])) == BATCH


def test_jobs_are_held_only_where_they_should_be() -> None:
    for situation in backlog.situations():
        each = situation.population / situation.tenants
        assert each > 100 if situation.where == "hold" else each <= 50


def test_situations_are_named_for_a_reader() -> None:
    assert Situation("inbox", 1000, 10_000).name == "1 000 in the inbox, 10 000 leases"
    assert Situation("hold", 10).name == "10 in the hold"
    assert digits(100_000) == "100 000"


def test_what_the_measurement_itself_sends_is_not_counted() -> None:
    stats = {"info": (3, 900.0), "config|resetstat": (1, 5.0), "hset": (4, 8.0), "xgroup|create": (1, 2.0),
             "xgroup|destroy": (2, 2.0), CALLS: (2, 100.0)}  # fmt: skip
    assert commands_of(stats) == {"hset": (4, 8.0), "xgroup": (3, 4.0), CALLS: (2, 100.0)}


def test_time_beside_the_commands_is_that_of_lua() -> None:
    cost = _cost(300, hset=30, xadd=20)
    assert cost.calls("hset") == pytest.approx(3)
    assert cost.all_calls == pytest.approx(5)
    assert cost.took_us(CALLS) == pytest.approx(500)
    assert cost.took_us(LUA) == pytest.approx(450)


def test_commands_that_differ_are_named_the_largest_difference_first() -> None:
    one, other = [_cost(1, hset=10, zadd=10)], [_cost(1, hset=15, zadd=40, xadd=10)]
    assert differences(one, other) == "ZADD +3.0, XADD +1.0, HSET +0.5"
    assert differences(one, one) == ""


def test_commands_have_a_row_where_they_matter_and_a_column_for_each_situation() -> None:
    costs = {Situation("inbox", 10): [_cost(1, hset=30, ping=0)], Situation("hold", 10): [_cost(1, xadd=50)]}
    calls, took = by_command(costs)
    assert [row.labels for row in calls.rows] == [("EVALSHA",), ("XADD",), ("HSET",)]
    assert [row.labels for row in took.rows] == [("EVALSHA",), (LUA,), ("XADD",), ("HSET",)]
    assert calls.columns == ("10 in the inbox", "10 in the hold")


def _rounds(largest_us: float) -> backlog.Rounds:
    rounds = {situation: [_round(100, hset=10)] for situation in backlog.situations()}
    rounds[Situation("inbox", 1000, 10_000)] = [_round(largest_us, hset=10)]
    rounds[Situation("hold", 100_000)] = [_round(110, hset=12)]
    return rounds


def test_the_cost_is_flat_if_the_largest_is_little_more_than_the_smallest() -> None:
    cpu, commands = backlog.checks(Durability.NONE, _rounds(120), "inbox")
    assert cpu.met
    assert commands.met
    assert cpu.what.startswith("Redis CPU of a chain with 10 to 100 000 waiting in the inbox, and with 10 000 leases")
    cpu, _ = backlog.checks(Durability.NONE, _rounds(121), "inbox")
    assert not cpu.met
    assert cpu.found == "1.21 (1 000 in the inbox, 10 000 leases against 10 in the inbox)"
    cpu, commands = backlog.checks(Durability.NONE, _rounds(121), "hold")
    assert cpu.met
    assert not commands.met


def test_every_situation_has_a_row_and_a_point() -> None:
    made = backlog.finding({Durability.EVERYSEC: _rounds(120)}, 2000)
    cost, worked, beats, *_ = made.tables
    assert len(cost.rows) == len(worked.rows) == 8
    assert beats.rows == ()
    assert all(len(row.figures) == len(table.columns) for table in made.tables for row in table.rows)
    assert [len(series.x) for series in made.plots[0].series] == [3, 3, 1, 1]
    assert made.plots[0].log_x
    assert "HSET +0.2 a chain" in made.says
