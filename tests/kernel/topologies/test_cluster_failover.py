"""A Redis Cluster of three primaries and three replicas: a pipeline runs on it, and goes on when a primary is lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from actors.kernel import Done, KernelOptions, State, Submission, Task, primary_of, read_job
from tests.gateway.sse_client import SseClient
from tests.kernel.stages import Installation, Scripted, eventually, forever
from tests.kernel.topologies.scene import KEY, TENANT, Scene
from tests.kernel.topologies.servers import Cluster, Server, cut_off, running

LONGEST_GAP_S = 6.0
"""Node timeout 1 s, election, learning; with the slack of a busy machine."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A cluster of this test's own, with a replica for each primary."""
    with running(Cluster(replicas=True)) as started:
        yield started


async def promoted(cluster: Cluster, lost: Server, within_s: float = 15.0) -> None:
    """Returns when the replica of `lost` serves its slots."""
    replica = cluster.replica_of(lost)

    async def serves() -> bool:
        return bool(replica.call("ROLE")[0] == b"master")

    await eventually(serves, within_s, lambda: "the replica was not promoted")


async def test_a_pipeline_runs_over_all_partitions(cluster: Cluster, tmp_path: Path) -> None:
    scene = Scene(cluster.url, tmp_path)
    async with scene.running() as load:
        async with load.running():
            await load.more(100)
        assert await scene.check(load) == 0
        assert {scene.partitions.of_job(job) for job in load.accepted} == set(scene.partitions)
        ours = next(job for job, submission in load.accepted.items() if submission.tenant == TENANT)
        stream = await SseClient.open(scene.gateway.port, ours, KEY)
        assert (await stream.until("snapshot")).data["data"]["state"] == "completed"
        stream.abort()


@pytest.mark.heavy
async def test_a_primary_is_killed_and_what_only_it_had_is_told_and_made_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The worst case: the replica had not heard of the primary's last second."""
    scene = Scene(cluster.url, tmp_path)
    keys = scene.partitions.keys(scene.partitions.of_tenant(TENANT))
    lost = cluster.serving(keys.root)
    async with scene.running() as load:
        async with load.running():
            await load.more(100)
            known = await load.park("known")
            replica = cluster.replica_of(lost)
            await eventually(lambda: _has(replica, keys.job(known)))
            watcher = await SseClient.open(scene.gateway.port, known, KEY)
            await watcher.until("snapshot")
            cut_off(lost)
            doomed = await load.park("doomed")
            orphan = await SseClient.open(scene.gateway.port, doomed, KEY)
            await orphan.until("snapshot")
            await load.more(50)
            killed_s = monotonic()
            lost.kill()
            await promoted(cluster, lost)
            promoted_s = monotonic()
            await load.more(100)
        assert (await watcher.until("resync")).data["data"]["state"] == "queued"
        assert [frame.event for frame in await orphan.rest()][-1] == "end"
        assert await read_job(scene.client, scene.partitions, doomed) is None
        assert await load.park("known") == known
        assert await load.park("doomed") != doomed
        assert await scene.check(load) > 0
        assert load.measured(promoted_after_s=promoted_s - killed_s) < LONGEST_GAP_S
        watcher.abort()


async def _has(server: Server, key: str) -> bool:
    with server.client() as client:
        client.execute_command("READONLY")
        return bool(client.exists(key))


@pytest.mark.heavy
async def test_a_primary_that_freezes_holds_nobody_up_once_its_replica_serves(cluster: Cluster, tmp_path: Path) -> None:
    """Its connections stay open and its kernel still accepts new ones; what comes back of it is a replica."""
    scene = Scene(cluster.url, tmp_path)
    lost = cluster.serving(scene.partitions.keys(scene.partitions.of_tenant(TENANT)).root)
    async with scene.running() as load:
        async with load.running():
            await load.more(100)
            frozen_s = monotonic()
            lost.freeze()
            try:
                await promoted(cluster, lost)
                promoted_s = monotonic()
                await load.more(100)
            finally:
                lost.thaw()
            await load.more(100)
        await scene.check(load)
        assert load.measured(promoted_after_s=promoted_s - frozen_s) < LONGEST_GAP_S


async def test_a_primary_that_stays_away_holds_up_its_own_partitions_only(kernel_options: KernelOptions) -> None:
    """Without a replica, where the operator lets the rest of the cluster go on; a job of the lost one is held."""
    with running(Cluster(arguments=("--cluster-require-full-coverage", "no"))) as cluster:
        house = Installation(cluster.url, kernel_options, 4)
        holding = asyncio.Event()

        async def work(task: Task) -> Done:
            if task.tenant == tenants[lost_partition]:
                holding.set()
                await asyncio.Event().wait()
            return Done(b"{}")

        tenants = {house.partitions.of_tenant(f"t{number}"): f"t{number}" for number in range(40)}
        lost_partition = "02"
        async with house.running(house.actor(Scripted(work), kill_grace_s=0.3)):
            held = Submission(tenant=tenants[lost_partition], stage="a", spec=b"{}", input=b"{}")
            await house.submitter.submit(held)
            await holding.wait()
            cluster.serving(house.partitions.keys(lost_partition).root).kill()
            for partition in ("00", "01", "03"):
                other = Submission(tenant=tenants[partition], stage="a", spec=b"{}", input=b"{}")
                await house.until((await house.submitter.submit(other)).job, State.COMPLETED)
        await house.client.aclose()


@pytest.mark.heavy
async def test_a_frozen_primary_costs_no_lease_that_lies_elsewhere() -> None:
    """Its connections accept beats and answer none, for longer than several leases and than a reply is waited for."""
    kernel_options = KernelOptions(lease_s=1.5, beat_s=0.3)
    with running(Cluster(arguments=("--cluster-require-full-coverage", "no"))) as cluster:
        house = Installation(cluster.url, kernel_options, 4)
        tenants = {house.partitions.of_tenant(f"t{number}"): f"t{number}" for number in range(40)}
        frozen, elsewhere = house.partitions.keys("02"), house.partitions.keys("03")
        handler = Scripted(forever)
        async with house.running(house.actor(handler, kill_grace_s=0.3)):
            for partition in ("02", "03"):
                submission = Submission(tenant=tenants[partition], stage="a", spec=b"{}", input=b"{}")
                await house.submitter.submit(submission)

            async def both_run() -> bool:
                return len(handler.started) == 2

            await eventually(both_run)
            lost = cluster.serving(frozen.root)
            lost.freeze()
            ends_ms: list[int] = []

            async def renewed_for_long() -> bool:
                now_ms = (await primary_of(house.client, elsewhere.leases)).server_ms
                _, score = await house.client.execute_command("ZRANGE", elsewhere.leases, 0, 0, "WITHSCORES")  # type: ignore[no-untyped-call]
                ends_ms.append(int(score))
                assert ends_ms[-1] > now_ms, "the lease has run out"
                return ends_ms[-1] - ends_ms[0] > 5 * kernel_options.lease_ms

            await eventually(renewed_for_long, 20.0)
            lost.thaw()
        await house.client.aclose()
