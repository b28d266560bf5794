"""A whole plan is carried out, and whatever ends it early, everything is undone."""

import asyncio

import pytest

from tests.faults.history import FaultBegan, FaultEnded, now_s
from tests.faults.injection.catalogue import FAULTS
from tests.faults.injection.injector import Injector
from tests.faults.injection.processes import Freeze
from tests.faults.injection.scene import Scene, state_of
from tests.faults.plan import FaultPlan, Plan, Profile
from tests.kernel.stages import eventually

PROFILE = Profile(name="none", jobs=0, chaos_s=1.0)


def injector(scene: Scene, *faults: tuple[str, float, float]) -> Injector:
    """Of faults given by name, time and length."""
    plans = tuple(FaultPlan(name=name, at_s=at_s, lasts_s=lasts_s, seed=1) for name, at_s, lasts_s in faults)
    return Injector(Plan(seed=1, profile=PROFILE, jobs=(), faults=plans), scene.house, scene.journal)


async def test_each_fault_falls_at_its_time(scene: Scene) -> None:
    process = await scene.start_process(("scripted",))
    pid = process.pid
    started_s = now_s() - 0.1
    await injector(scene, ("freeze", 0.2, 0.3), ("kill", 0.3, 0.0)).run(started_s)
    told = [event for event in scene.told(FaultBegan, FaultEnded) if isinstance(event, FaultBegan | FaultEnded)]
    assert [(type(event), event.name, event.number) for event in told] == [
        (FaultBegan, "freeze", 0),
        (FaultBegan, "kill", 1),
        (FaultEnded, "kill", 1),
        (FaultEnded, "freeze", 0),
    ]
    for event, at_s in zip(told, (0.2, 0.3, 0.3, 0.5), strict=True):
        assert event.at_s >= started_s + at_s - 0.005
    assert scene.status_of(pid) == -9


async def test_a_cancelled_plan_is_undone(scene: Scene) -> None:
    process = await scene.start_process(("scripted",))
    running = asyncio.create_task(injector(scene, ("freeze", 0.0, 60.0), ("kill", 60.0, 0.0)).run(now_s()))

    async def is_frozen() -> bool:
        return state_of(process.pid) == "T"

    await eventually(is_frozen)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not await is_frozen()
    assert scene.faults_told() == [FaultBegan, FaultEnded]


async def test_a_fault_that_is_wrong_ends_the_run(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not expected of a dead server or process is told, and the others are undone."""

    class Wrong(Freeze):
        async def strike(self, blow: object) -> None:
            raise ValueError("wrong")

    monkeypatch.setitem(FAULTS, "wrong", Wrong())
    process = await scene.start_process(("scripted",))
    with pytest.raises(ExceptionGroup) as raised:
        await injector(scene, ("freeze", 0.0, 60.0), ("wrong", 0.2, 0.0)).run(now_s())
    assert raised.group_contains(ValueError, match="wrong")
    assert state_of(process.pid) != "T"
