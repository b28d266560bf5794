"""Reapers on a Redis Cluster: each partition is judged by its own primary and waits for no other."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from actors.kernel import (
    JobView,
    KernelOptions,
    Partitions,
    RedisOptions,
    Submission,
    Submitter,
    Worker,
    connect,
    new_nonce,
    read_job,
)
from actors.reaper import Reaper
from actors.settings import load
from actors.storage.local import LocalStorage
from tests.kernel.stages import eventually
from tests.kernel.topologies.servers import Cluster, Server, running

LEASE_S = 1.0
PARTITIONS = Partitions(4)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two nodes that go on without each other."""
    with running(Cluster(2, arguments=["--cluster-require-full-coverage", "no"])) as started:
        yield started


class Ground:
    """One job in every partition, all taken by a worker that is silent from then on."""

    def __init__(self, cluster: Cluster) -> None:
        options = KernelOptions(lease_s=LEASE_S, beat_s=0.25)
        self._client = connect(RedisOptions(url=cluster.url, reply_timeout_s=1.0))
        self._submitter = Submitter(self._client, PARTITIONS, options)
        self._worker = Worker(self._client, PARTITIONS, options, "silent")
        self.jobs: dict[str, str] = {}
        """Partition to its job."""

    async def populate(self) -> None:
        names = {PARTITIONS.of_tenant(f"tenant-{number}"): f"tenant-{number}" for number in range(50)}
        for partition in PARTITIONS:
            submission = Submission(tenant=names[partition], stage="a", spec=b"{}", input=b"{}")
            self.jobs[partition] = (await self._submitter.submit(submission)).job
            inbox = PARTITIONS.keys(partition).inbox("a", "cpu", "normal")
            (grant,) = (await self._worker.take(partition, [inbox], 1, new_nonce())).grants
            assert grant.job == self.jobs[partition]

    async def view(self, partition: str) -> JobView:
        view = await read_job(self._client, PARTITIONS, self.jobs[partition])
        assert view is not None
        return view

    async def is_ended(self, partition: str) -> bool:
        view = await self.view(partition)
        return (view.state, view.crashes) == ("queued", 1)

    async def stop(self) -> None:
        await self._client.aclose()


@pytest.fixture
async def ground(cluster: Cluster) -> AsyncIterator[Ground]:
    made = Ground(cluster)
    yield made
    await made.stop()


async def test_a_primary_that_stands_still_delays_no_other_and_is_watched_anew(
    cluster: Cluster, ground: Ground, tmp_path: Path
) -> None:
    by_node = {partition: cluster.serving(PARTITIONS.keys(partition).leases) for partition in PARTITIONS}
    still: Server = by_node["00"]
    theirs = [partition for partition, node in by_node.items() if node is still]
    others = [partition for partition, node in by_node.items() if node is not still]
    assert others
    settings = load(
        {
            "REELWAY_REDIS_URL": cluster.url,
            "REELWAY_PARTITIONS": str(PARTITIONS.count),
            "REELWAY_DATA_DIR": str(tmp_path),
            "REELWAY_KERNEL_LEASE_S": str(LEASE_S),
            "REELWAY_KERNEL_BEAT_S": "0.25",
        }
    )
    reaper = Reaper(settings, LocalStorage(tmp_path / "storage"))
    await reaper.start()
    try:
        await asyncio.wait_for(reaper.ready(), 10.0)
        await ground.populate()
        still.freeze()
        for partition in others:
            await eventually(lambda partition=partition: ground.is_ended(partition), LEASE_S * 4 + 2.0)  # type: ignore[misc]
        still.thaw()
        seconds, _ = still.call("TIME")
        for partition in theirs:
            await eventually(lambda partition=partition: ground.is_ended(partition), 20.0)  # type: ignore[misc]
            ended_ms = (await ground.view(partition)).updated_at_ms
            assert ended_ms >= seconds * 1000 + LEASE_S * 1000, "its workers had a whole lease to show themselves"
    finally:
        await reaper.stop()
