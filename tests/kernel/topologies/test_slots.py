"""A partition moves to another node: between two runs, and as a whole under load where the server can do that."""

from pathlib import Path

from tests.kernel.stages import eventually
from tests.kernel.topologies.scene import TENANT, Scene
from tests.kernel.topologies.servers import Cluster, running
from tests.kernel.topologies.slots import Move


async def test_a_partition_moves_while_nothing_runs(tmp_path: Path) -> None:
    with running(Cluster()) as cluster:
        scene = Scene(cluster.url, tmp_path)
        move = Move(cluster, scene.partitions.keys(scene.partitions.of_tenant(TENANT)).root)
        async with scene.running() as load, load.running():
            await load.more(100)
        move.begin()
        move.carry_all()
        move.end()
        async with scene.running() as more:
            more.accepted |= load.accepted
            async with more.running():
                await more.more(50)
            assert await scene.check(more) == 0


async def test_a_partition_moves_under_load(tmp_path: Path) -> None:
    with running(Cluster()) as cluster:
        scene = Scene(cluster.url, tmp_path)
        root = scene.partitions.keys(scene.partitions.of_tenant(TENANT)).root
        move = Move(cluster, root)
        async with scene.running() as load:
            async with load.running():
                await load.more(100)
                move.at_once()

                async def moved() -> bool:
                    return cluster.serving(root) is move.target

                await eventually(moved)
                await load.more(100)
            assert await scene.check(load) == 0
            load.measured()
