"""No call of a verb costs more because more jobs wait, run, have failed or belong to the same parent.

Every situation is made twice, with a few hundred rows and with the number in question, and the same calls are measured
in both. A call must execute as many commands over many as over few, and take less than 10 ms of the server's processor:
processor time and not time on the clock, which says more about the machine's other work than about the script.

The servers write no append-only file: a hundred thousand jobs are made in seconds, and no test reads them back.
"""

from collections.abc import AsyncIterator

import pytest

from actors.kernel import RedisOptions, connect
from bench.bodies import SMALL
from bench.house import House
from bench.meter import Cost, Meter
from bench.server import AS_SHIPPED
from tests.conftest import RedisServer
from tests.kernel.situations import (
    Situation,
    children,
    consumers,
    dead_letters,
    due_retries,
    full_inbox,
    held_jobs,
    leases,
    of_tenants,
)

FEW = 4_000
RUNS = 3
MORE_RUNS = 12
SINGLE = 3
SLACK = 8
"""Commands that read or write thousands of rows of one parent, five hundred in each."""
LONGEST_US = 10_000
SITUATIONS: dict[str, tuple[int, Situation]] = {
    "due retries of one tenant": (100_000, of_tenants(1, due_retries)),
    "due retries of 20 tenants": (100_000, of_tenants(20, due_retries)),
    "dead letters": (100_000, of_tenants(1, dead_letters)),
    "leases of one tenant": (20_000, of_tenants(1, leases)),
    "leases of 20 tenants": (20_000, of_tenants(20, leases)),
    "held jobs of one tenant": (100_000, held_jobs),
    "jobs in one inbox": (10_000, of_tenants(1, full_inbox)),
    "consumers of one inbox": (10_000, consumers),
    "children of one parent": (2_000, children),
}


@pytest.fixture
async def house(own_redis_server: RedisServer) -> AsyncIterator[House]:
    client = connect(RedisOptions(url=own_redis_server.url, reply_timeout_s=30.0))
    await client.config_set("appendonly", "no")
    for name, value in zip(AS_SHIPPED[::2], AS_SHIPPED[1::2], strict=True):
        await client.config_set(name.removeprefix("--"), value)
    installation = House(client, spec=SMALL, body=SMALL)
    await installation.load()
    yield installation
    await client.aclose()


async def measured(house: House, situation: Situation, count: int, runs: int) -> dict[str, list[Cost]]:
    await house.fresh()
    calls = await situation(house, count)
    meter = Meter(house.client)
    return {name: [await meter.measure(await prepare()) for _ in range(runs)] for name, prepare in calls.items()}


def most(name: str, costs: list[Cost]) -> int:
    """Commands of the dearest call. What `reconcile` reads is a page of a scan, which has about a hundred rows."""
    commands = max(cost.total for cost in costs)
    return 2 * commands if name == "reconcile" else commands


@pytest.mark.parametrize("name", SITUATIONS)
async def test_a_call_costs_the_same_over_many_as_over_few(house: House, name: str) -> None:
    many, situation = SITUATIONS[name]
    over_few = await measured(house, situation, min(FEW, many // 5), RUNS)
    over_many = await measured(house, situation, many, RUNS)
    for call, costs in over_many.items():
        assert max(cost.total for cost in costs) <= most(call, over_few[call]) + SLACK, call
        assert min(cost.processor_us for cost in costs) < LONGEST_US, call


@pytest.mark.heavy
@pytest.mark.parametrize("name", SITUATIONS)
async def test_no_call_is_in_the_slowlog(house: House, name: str) -> None:
    """Not in three of twelve times, that is: a single entry may be the server that grows a table, or other processes.

    An entry counts if the server's processor was busy for so long as well.
    """
    many, situation = SITUATIONS[name]
    await house.fresh()
    calls = await situation(house, many)
    await house.client.config_set("slowlog-log-slower-than", LONGEST_US)
    meter = Meter(house.client)
    for call, prepare in calls.items():
        slow: list[Cost] = []
        for _ in range(MORE_RUNS):
            act = await prepare()
            await house.client.slowlog_reset()
            cost = await meter.measure(act)
            entries = await house.client.slowlog_get()
            if cost.processor_us >= LONGEST_US and any(b"EVAL" in entry["command"][:8] for entry in entries):
                slow.append(cost)
        assert len(slow) < SINGLE, f"{call}: {slow}"
