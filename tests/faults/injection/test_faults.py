"""Each fault does what it says, against real servers and processes, and is undone, also when it is cancelled.

Every fault of the catalogue has a case: one that is added without a case of its own fails.
"""

import asyncio
from typing import Any, ClassVar

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

import tests.faults.injection.redis
from actors.kernel import RedisOptions, connect
from tests.faults.history import FaultBegan, FaultEnded, FaultPassed
from tests.faults.house.disk import make_disk
from tests.faults.injection.cases import clock, damage, disk, network, processes, redis
from tests.faults.injection.cases.case import CASES, HAPPENED, INBOX, assert_well, true_if
from tests.faults.injection.cases.network import seed_of_blackhole
from tests.faults.injection.catalogue import FAULTS
from tests.faults.injection.fault import Blow, surely
from tests.faults.injection.processes import Freeze, descendants
from tests.faults.injection.scene import NUMBER, Scene
from tests.faults.plan import FaultPlan
from tests.kernel.stages import eventually

_MODULES = (clock, damage, disk, network, processes, redis)
"""They fill CASES when they are imported."""


def test_there_are_no_cases_of_faults_that_are_no_more() -> None:
    assert set(CASES) == set(FAULTS)


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_it_does_what_it_says(scene: Scene, name: str) -> None:
    await CASES[name](scene)
    assert scene.faults_told() == HAPPENED
    for event in scene.told(FaultBegan, FaultEnded):
        assert isinstance(event, FaultBegan | FaultEnded)
        assert (event.number, event.name) == (NUMBER, name)
    await assert_well(scene)


async def test_a_blackhole_may_end_in_broken_connections(scene: Scene) -> None:
    _, client = await scene.start_proxied()
    await client.ping()
    async with scene.during("blackhole", seed=seed_of_blackhole(breaks=True)):
        with pytest.raises(RedisConnectionError):
            await client.incr("asked")
    assert await scene.client().get("asked") is None
    await assert_well(scene)


LASTING = ["freeze", "restart_redis", "freeze_redis", "full_memory", "lose_reply", "lose_reply_of", "blackhole"]


@pytest.mark.parametrize("name", [*LASTING, "full_disk", "step_clock"])
async def test_it_is_undone_when_it_is_cancelled(scene: Scene, name: str) -> None:
    await scene.start_proxied()
    if name == "full_disk":
        scene.small.disk = make_disk(scene.folder / "disk")
    inflicting = await scene.begin(name, lasts_s=60.0)
    if scene.told(FaultPassed):
        pytest.skip("this cannot be done here")
    inflicting.cancel()
    await asyncio.gather(inflicting, return_exceptions=True)
    assert inflicting.cancelled()
    assert scene.faults_told() == HAPPENED
    await assert_well(scene)


async def test_a_restart_is_undone_whenever_it_is_cancelled(scene: Scene) -> None:
    server = await scene.start_server()
    for number in range(8):
        inflicting = asyncio.create_task(scene.inflict("restart_redis", lasts_s=60.0))
        await asyncio.sleep(number * 0.002)
        inflicting.cancel()
        await asyncio.wait({inflicting}, timeout=10.0)
        assert inflicting.cancelled()
        assert await server.client.ping()


async def test_a_server_that_is_being_killed_is_not_started_before_it_is_dead(scene: Scene) -> None:
    class Slow:
        name = "redis-0"
        steps: ClassVar[list[str]] = []

        async def kill(self) -> None:
            self.steps.append("dying")
            await asyncio.sleep(0.05)
            self.steps.append("dead")

        async def restart(self) -> None:
            self.steps.append("started")

    scene.small.servers = [Slow()]  # type: ignore[list-item]
    inflicting = await scene.begin("restart_redis", lasts_s=60.0)
    inflicting.cancel()
    await asyncio.wait({inflicting})
    assert Slow.steps == ["dying", "dead", "started"]
    assert inflicting.cancelled()


async def test_what_must_be_done_is_done_however_often_it_is_cancelled() -> None:
    done = asyncio.Event()
    working = asyncio.create_task(surely(done.wait()))
    for _ in range(3):
        await asyncio.sleep(0)
        working.cancel()
    assert not working.done()
    done.set()
    await asyncio.wait({working})
    assert working.cancelled()


async def test_an_error_while_it_is_undone_does_not_hide_the_cancellation(scene: Scene) -> None:
    class Clumsy(Freeze):
        async def strike(self, blow: Blow) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("it was gone")

    plan = FaultPlan(at_s=0.0, name="freeze", lasts_s=60.0, seed=1)
    inflicting = asyncio.create_task(Clumsy().inflict(plan, NUMBER, scene.house, scene.journal))
    await asyncio.sleep(0)
    inflicting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await inflicting


async def test_a_hint_is_waited_for(scene: Scene) -> None:
    """Many keys are there for moments only."""
    server = await scene.start_server()
    inflicting = asyncio.create_task(scene.inflict("trim_inbox", lasts_s=10.0))

    async def has_looked() -> bool:
        told: Any = await server.client.info("commandstats")
        return "cmdstat_scan" in told

    await eventually(has_looked)
    await server.client.xadd(INBOX, {"job": "j00-1"})
    await inflicting
    assert scene.faults_told() == HAPPENED


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_where_there_is_nothing_to_hit_it_passes(scene: Scene, name: str) -> None:
    await scene.inflict(name, lasts_s=0.0)
    assert scene.faults_told() == [FaultPassed]


ASKS_REDIS = sorted(
    name for name in FAULTS if name.startswith(("delete", "trim", "flush", "kill_cl", "full_m", "pause"))
)


@pytest.mark.parametrize("name", ASKS_REDIS)
async def test_a_server_that_is_down_is_no_error(scene: Scene, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It died after somebody had looked whether it lives."""
    monkeypatch.setattr(tests.faults.injection.redis, "UNDONE_S", 0.1)
    scene.small.servers = [DeadServer()]  # type: ignore[list-item]
    await scene.inflict(name, lasts_s=0.0)
    assert FaultPassed in scene.faults_told()
    assert scene.faults_told().count(FaultBegan) == scene.faults_told().count(FaultEnded)


class DeadServer:
    """Dead, and the house has not noticed."""

    name = "redis-0"
    alive = True

    def __init__(self) -> None:
        self.client = connect(RedisOptions(url="unix:///nowhere"))


async def test_faults_that_stop_one_server_wait_for_each_other(scene: Scene) -> None:
    await scene.start_server()
    await asyncio.gather(scene.inflict("freeze_redis"), scene.inflict("restart_redis"), scene.inflict("pause_clients"))
    assert scene.faults_told() == HAPPENED * 3


async def test_processes_below_others_are_found(scene: Scene) -> None:
    process = await scene.start_process(("transcode",), "echo ready; sh -c 'sleep 60; exit 0'; exit 0")
    await eventually(lambda: true_if(len(descendants(process.pid)) == 2))
    assert descendants(None) == []
