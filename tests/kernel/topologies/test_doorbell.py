"""The doorbell on a Redis Cluster: one read for each partition, and none is broken because another one rang."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis

from actors.kernel import Partitions, RedisOptions
from actors.kernel.doorbell import Doorbell
from tests.kernel.stages import eventually
from tests.kernel.topologies.servers import Cluster, Server

PARTITIONS = Partitions(4)
INBOXES = {partition: PARTITIONS.keys(partition).inbox("a", "cpu", "normal") for partition in PARTITIONS}


@pytest.fixture
async def doorbell(cluster: Cluster) -> AsyncIterator[Doorbell]:
    cluster.flush()
    doorbell = Doorbell(RedisOptions(url=cluster.url))
    yield doorbell
    await doorbell.close()


def add(cluster: Cluster, partition: str) -> str:
    """Adds an entry; returns its id."""
    entry: bytes = cluster.serving(INBOXES[partition]).call("XADD", INBOXES[partition], "*", "job", "x")
    return entry.decode()


async def listening(cluster: Cluster, reads: int) -> None:
    """Returns when so many reads wait on the cluster."""

    async def there() -> bool:
        return reads == sum(int(node.call("INFO", "clients")["blocked_clients"]) for node in cluster.primaries)

    await eventually(there)


def connections(server: Server) -> set[str]:
    """Those that wait in an XREAD."""
    with server.client() as client:
        return {one["id"] for one in client.client_list() if one["cmd"] == "xread"}


async def test_a_ring_tells_its_partition_and_breaks_no_other_read(cluster: Cluster, doorbell: Doorbell) -> None:
    bells = dict.fromkeys(INBOXES.values(), "0-0")
    elsewhere = cluster.serving(INBOXES["02"])
    waiting: set[frozenset[str]] = set()
    for _ in range(10):
        ringing = asyncio.create_task(doorbell.ring(bells))
        await listening(cluster, len(bells))
        waiting.add(frozenset(connections(elsewhere)))
        entry = add(cluster, "03")
        assert await ringing == {INBOXES["03"]}
        bells[INBOXES["03"]] = entry
    assert len(waiting) == 1


async def test_a_ring_that_nobody_waits_for_is_heard_by_the_next(cluster: Cluster, doorbell: Doorbell) -> None:
    bells = dict.fromkeys(INBOXES.values(), "0-0")
    ringing = asyncio.create_task(doorbell.ring(bells))
    await listening(cluster, len(bells))
    ringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ringing
    add(cluster, "00")
    assert await doorbell.ring(bells) == {INBOXES["00"]}


async def test_a_primary_that_goes_is_told_and_the_others_ring_on(cluster: Cluster, doorbell: Doorbell) -> None:
    bells = dict.fromkeys(INBOXES.values(), "0-0")
    ringing = asyncio.create_task(doorbell.ring(bells))
    await listening(cluster, len(bells))
    cluster.serving(INBOXES["02"]).call("CLIENT", "KILL", "TYPE", "normal")
    with pytest.raises(redis.ConnectionError):
        await ringing
    add(cluster, "03")
    assert await doorbell.ring(bells) == {INBOXES["03"]}


async def test_the_end_closes_every_read(cluster: Cluster) -> None:
    cluster.flush()
    doorbell = Doorbell(RedisOptions(url=cluster.url))
    ringing = asyncio.create_task(doorbell.ring(dict.fromkeys(INBOXES.values(), "0-0")))
    await listening(cluster, len(INBOXES))
    ringing.cancel()
    await doorbell.close()
    await listening(cluster, 0)
