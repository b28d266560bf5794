"""Faults of processes, with shells in their places."""

import random

from tests.faults.injection.cases.case import shows, true_if
from tests.faults.injection.scene import Scene, state_of
from tests.kernel.stages import eventually

DRAINS = "n=0; trap 'n=$((n+1)); echo term; [ $n -ge 2 ] && exit 7' TERM; echo ready; while :; do sleep 0.02; done"


def _last_of(many: int) -> int:
    """A seed with which the last of so many would be chosen."""
    return next(seed for seed in range(100) if random.Random(seed).choice(range(many)) == many - 1)


@shows("kill")
async def _kill(scene: Scene) -> None:
    pid = (await scene.start_process(("gateway", "reaper"))).pid
    await scene.inflict("kill")
    assert scene.status_of(pid) == -9


@shows("kill_worker")
async def _kill_worker(scene: Scene) -> None:
    gateway = await scene.start_process(("gateway", "reaper"))
    pid, untouched = (await scene.start_process(("scripted",))).pid, gateway.pid
    await scene.inflict("kill_worker")
    assert scene.status_of(pid) == -9
    assert gateway.pid == untouched


@shows("freeze")
async def _freeze(scene: Scene) -> None:
    process = await scene.start_process(("scripted",))
    pid = process.pid
    async with scene.during("freeze"):
        await eventually(lambda: true_if(state_of(pid) == "T"))
    assert process.pid == pid


@shows("terminate")
async def _terminate(scene: Scene) -> None:
    pid = (await scene.start_process(("scripted",), DRAINS.replace("-ge 2", "-ge 1"))).pid
    await scene.inflict("terminate")
    assert scene.status_of(pid) == 7


@shows("terminate_twice")
async def _terminate_twice(scene: Scene) -> None:
    pid = (await scene.start_process(("scripted",), DRAINS)).pid
    await scene.inflict("terminate_twice")
    assert scene.status_of(pid) == 7


@shows("kill_in_drain")
async def _kill_in_drain(scene: Scene) -> None:
    process = await scene.start_process(("scripted",), DRAINS)
    pid = process.pid
    await scene.inflict("kill_in_drain")
    assert scene.status_of(pid) == -9
    assert process.launch.out.read_text().startswith("ready\nterm\n")


@shows("kill_ffmpeg")
async def _kill_ffmpeg(scene: Scene) -> None:
    process = await scene.start_process(("transcode",), "echo ready; sleep 60; echo $?; exec sleep 60")
    pid = process.pid
    await scene.start_process(("scripted",), "echo ready; sleep 60; echo hit; exec sleep 60")
    await scene.inflict("kill_ffmpeg", seed=_last_of(2))
    await eventually(lambda: true_if(process.launch.out.read_text() != "ready\n"))
    assert process.launch.out.read_text() == "ready\n137\n"
    assert process.pid == pid
