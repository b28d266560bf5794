"""Reelway as a system under test: its worker and its client do every kind of work in processes of their own."""

import pytest

from actors.kernel import Partitions
from bench.context import OURS, Context, Durability
from bench.scenarios import chain
from bench.systems import system
from bench.systems.process import Reports, Settings, start
from bench.systems.reelway.situation import TENANTS, name_tenants
from bench.systems.rounds import THROUGH_INBOXES


@pytest.mark.parametrize("count", [1, 4])
def test_every_partition_has_as_many_tenants(count: int) -> None:
    partitions = Partitions(count)
    found = [partitions.of_tenant(name) for name in name_tenants(partitions)]
    assert sorted(found) == sorted(TENANTS * list(partitions))


def test_a_quick_run_of_the_chain_ends_every_job_and_says_what_it_cost() -> None:
    finding = chain.run(Context(quick=True))
    (table,) = finding.tables
    # The faster one stands first, and of so few jobs either may be that.
    assert sorted(row.labels[0] for row in table.rows) == [OURS, THROUGH_INBOXES]
    for row in table.rows:
        rate, _, worker_us, redis_us, *_ = row.figures
        assert min(rate.median, worker_us.median, redis_us.median) > 0


@pytest.mark.heavy  # its reaper watches for a whole lease first
def test_jobs_that_sleep_say_when_they_start_and_end() -> None:
    reelway, context = system.load(OURS), Context()
    with context.server(Durability.NONE) as server, Reports() as reports:
        settings = Settings(redis=server.url, mode="sleep", jobs=2, report=reports.path, sleep_s=0.2)
        with start(reelway, context.environments, "worker", settings) as worker:
            reports.wait("ready", needed=worker)
            with start(reelway, context.environments, "client", settings) as client:
                assert client.wait(30) == 0
            ends = reports.wait("finished", 2, needed=worker)
            starts = reports.wait("started", 2)
            worker.stop()
    assert {each["job"] for each in starts} == {each["job"] for each in ends} == {0, 1}
    assert {each["process"] for each in starts} == {worker.pid}
    for began, ended in zip(starts, ends, strict=True):
        assert ended["at_ns"] - began["at_ns"] >= 0.19e9
