"""A primary behind three Sentinels: it is found by its name, and followed when it is lost."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from actors.kernel import RedisOptions, connect, is_sharded, primary_of, read_job
from tests.gateway.sse_client import SseClient
from tests.kernel.stages import eventually
from tests.kernel.topologies.scene import KEY, TENANT, Scene
from tests.kernel.topologies.servers import Server, Watched, cut_off, running

LONGEST_GAP_S = 10.0
"""0.5 s until a Sentinel misses the primary, agreement, choosing and promoting a replica, learning; a busy machine."""


@pytest.fixture
def watched() -> Iterator[Watched]:
    with running(Watched()) as started:
        yield started


async def elsewhere(watched: Watched, lost: Server, within_s: float = 20.0) -> None:
    """Returns when the Sentinels name another primary."""

    async def named() -> bool:
        return watched.named() is not lost

    await eventually(named, within_s, lambda: "no replica was promoted")


async def test_every_partition_has_the_one_primary(watched: Watched) -> None:
    client = connect(RedisOptions(url=watched.url))
    found = {(await primary_of(client, f"rw:{{p{number:02d}}}:leases")).primary for number in range(4)}
    assert len(found) == 1
    assert not is_sharded(client)
    await client.aclose()


async def test_a_primary_that_became_a_replica_is_left(watched: Watched) -> None:
    """A planned change: its connections work, its answers would be of yesterday."""
    client = connect(RedisOptions(url=watched.url))
    await client.set("rw:{p00}:x", "1")
    before = await primary_of(client, "rw:{p00}:x")
    lost = watched.primary
    watched.sentinels[0].call("SENTINEL", "FAILOVER", watched.service)
    await elsewhere(watched, lost)

    async def followed() -> bool:
        return (await primary_of(client, "rw:{p00}:x")).primary != before.primary

    await eventually(followed, 5.0)
    await client.set("rw:{p00}:x", "2")
    assert await client.get("rw:{p00}:x") == b"2"
    await client.aclose()


@pytest.mark.heavy
@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_a_primary_is_lost_under_load(watched: Watched, tmp_path: Path, fault: str) -> None:
    scene = Scene(watched.url, tmp_path)
    lost = watched.primary
    async with scene.running() as load:
        async with load.running():
            await load.more(100)
            known = await load.park("known")
            watcher = await SseClient.open(scene.gateway.port, known, KEY)
            await watcher.until("snapshot")
            job = scene.partitions.keys(scene.partitions.of_tenant(TENANT)).job(known)
            for replica in watched.replicas:
                await eventually(partial(_has, replica, job))
            cut_off(lost)
            doomed = await load.park("doomed")
            await load.more(50)
            lost_s = monotonic()
            lost.kill() if fault == "kill" else lost.freeze()
            await elsewhere(watched, lost)
            elsewhere_s = monotonic()
            await load.more(100)
        assert (await watcher.until("resync")).data["data"]["state"] == "queued"
        assert await read_job(scene.client, scene.partitions, doomed) is None
        assert await load.park("known") == known
        assert await scene.check(load) > 0
        assert load.measured(promoted_after_s=elsewhere_s - lost_s) < LONGEST_GAP_S
        watcher.abort()


async def _has(server: Server, key: str) -> bool:
    return bool(server.call("EXISTS", key))
