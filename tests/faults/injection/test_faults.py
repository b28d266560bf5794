"""Each fault does what it says, against real servers and processes, and is undone, also when it is cancelled.

Every fault of the catalogue is a case here: one that is added without a `shows` of its own fails.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from hashlib import sha1
from time import monotonic
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError

import tests.faults.injection.redis
from actors.kernel import RedisOptions, connect
from actors.kernel.keys import GROUP, Keys
from actors.kernel.scripts import script, text, verbs
from tests.faults.history import FaultBegan, FaultEnded, FaultPassed, TailLost
from tests.faults.house.disk import make_disk
from tests.faults.injection.catalogue import FAULTS
from tests.faults.injection.damage import LOSE_DEADLINES
from tests.faults.injection.fault import Blow
from tests.faults.injection.processes import Freeze, descendants
from tests.faults.injection.scene import NUMBER, Scene, state_of
from tests.faults.plan import FaultPlan
from tests.kernel.stages import eventually

Case = Callable[[Scene], Awaitable[None]]
CASES: dict[str, Case] = {}
KEYS = Keys("00")
INBOX = KEYS.inbox("step1", "cpu", "normal")
HAPPENED = [FaultBegan, FaultEnded]
DRAINS = "n=0; trap 'n=$((n+1)); echo term; [ $n -ge 2 ] && exit 7' TERM; echo ready; while :; do sleep 0.02; done"


def shows(name: str) -> Callable[[Case], Case]:
    """The function shows what this fault does."""

    def register(case: Case) -> Case:
        CASES[name] = case
        return case

    return register


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_it_does_what_it_says(scene: Scene, name: str) -> None:
    await CASES[name](scene)
    assert scene.faults_told() == HAPPENED
    for event in scene.told(FaultBegan, FaultEnded):
        assert isinstance(event, FaultBegan | FaultEnded)
        assert (event.number, event.name) == (NUMBER, name)
    await _assert_well(scene)


async def _assert_well(scene: Scene) -> None:
    """Everything is as if nothing had happened, but for what was destroyed."""
    for process in scene.small.processes:
        assert state_of(process.pid) != "T"
        if process.proxy is not None:
            losses = process.proxy.losses
            client = scene.client(process.proxy.url)
            for _ in range(50):
                assert await client.ping()
            for verb in verbs():
                with pytest.raises(NoScriptError):
                    await client.execute_command("EVALSHA", script(verb).digest, 0)  # type: ignore[no-untyped-call]
            assert process.proxy.losses == losses
    for server in scene.small.servers:
        assert server.alive
        assert await server.client.ping()
        assert await server.client.config_get("maxmemory") == {"maxmemory": "0"}
        assert abs((await server.client.time())[0] - _now()) < 2
    if scene.small.disk is not None:
        (scene.small.disk.path / "file").write_bytes(bytes(100_000))


def _now() -> float:
    return time.time()


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
        await eventually(lambda: _is(state_of(pid) == "T"))
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
    await eventually(lambda: _is(process.launch.out.read_text() != "ready\n"))
    assert process.launch.out.read_text() == "ready\n137\n"
    assert process.pid == pid


@shows("restart_redis")
async def _restart_redis(scene: Scene) -> None:
    server = await scene.start_server()
    pid = server.pid
    await server.client.set("kept", 1)
    async with scene.during("restart_redis"):
        await eventually(lambda: _is(not server.alive))
    assert server.pid != pid
    assert await server.client.get("kept") == b"1"


@shows("fail_power")
async def _fail_power(scene: Scene) -> None:
    server = await scene.start_server()
    pid = server.pid
    await scene.inflict("fail_power")
    assert server.pid != pid
    assert scene.told(TailLost)


@shows("freeze_redis")
async def _freeze_redis(scene: Scene) -> None:
    server = await scene.start_server()
    async with scene.during("freeze_redis"):
        await eventually(lambda: _is(state_of(server.pid) == "T"))


@shows("pause_clients")
async def _pause_clients(scene: Scene) -> None:
    await scene.start_server()
    client = scene.client()
    await client.ping()
    began_s = monotonic()
    await scene.inflict("pause_clients")
    assert monotonic() - began_s >= 0.29


@shows("kill_clients")
async def _kill_clients(scene: Scene) -> None:
    await scene.start_server()
    waiting = asyncio.create_task(_ask(scene.client().blpop, ["nothing"]))
    await eventually(lambda: _blocked(scene))
    await scene.inflict("kill_clients")
    with pytest.raises(RedisConnectionError):
        await waiting


@shows("flush_scripts")
async def _flush_scripts(scene: Scene) -> None:
    server = await scene.start_server()
    digest = await server.client.script_load("return 1")
    await scene.inflict("flush_scripts")
    assert await server.client.script_exists(digest) == [False]


@shows("full_memory")
async def _full_memory(scene: Scene) -> None:
    await scene.start_server()
    client = scene.client()

    async def is_full() -> bool:
        try:
            await client.set("a", 1)
        except OutOfMemoryError:
            return True
        return False

    async with scene.during("full_memory"):
        await eventually(is_full)
    assert not await is_full()


@shows("rewrite_aof")
async def _rewrite_aof(scene: Scene) -> None:
    server = await scene.start_server()
    for _ in range(50):
        await server.client.set("a", "a" * 1000)
    before = (await server.client.info("persistence"))["aof_current_size"]
    await scene.inflict("rewrite_aof")
    assert (await server.client.info("persistence"))["aof_current_size"] < before / 2
    # A power failure right behind it cuts the new file, not the old one.
    await server.fail_power()
    assert await server.client.strlen("a") == 1000


async def _fill_inbox(scene: Scene, delivered: int = 0) -> None:
    """Three hints and a group, to which so many have been delivered."""
    server = await scene.start_server()
    for number in range(3):
        await server.client.xadd(INBOX, {"job": f"j00-{number}"})
    await server.client.xgroup_create(INBOX, GROUP, "0")
    if delivered:
        await server.client.xreadgroup(GROUP, "worker", {INBOX: ">"}, count=delivered)


@shows("delete_stream")
async def _delete_stream(scene: Scene) -> None:
    await _fill_inbox(scene)
    await scene.inflict("delete_stream")
    assert not await scene.client().exists(INBOX)


@shows("delete_group")
async def _delete_group(scene: Scene) -> None:
    await _fill_inbox(scene, delivered=2)
    await scene.inflict("delete_group")
    assert await scene.client().xinfo_groups(INBOX) == []
    assert await scene.client().xlen(INBOX) == 3


@shows("delete_consumers")
async def _delete_consumers(scene: Scene) -> None:
    await _fill_inbox(scene, delivered=2)
    await scene.inflict("delete_consumers")
    assert (await scene.client().xinfo_groups(INBOX))[0]["consumers"] == 0


@shows("trim_inbox")
async def _trim_inbox(scene: Scene) -> None:
    await _fill_inbox(scene)
    await scene.inflict("trim_inbox")
    assert await scene.client().xlen(INBOX) == 0
    assert len(await scene.client().xinfo_groups(INBOX)) == 1


async def _rows_are_lost(scene: Scene, name: str, key: str) -> None:
    server = await scene.start_server()
    await server.client.zadd(key, {f"j00-{number}": number for number in range(6)})
    await scene.inflict(name)
    left = {text(row) for row in await server.client.zrange(key, 0, -1)}
    began = scene.told(FaultBegan)[0]
    assert isinstance(began, FaultBegan)
    assert 3 <= len(left) <= 5
    assert set(began.victims) == {key} | {f"j00-{number}" for number in range(6)} - left


@shows("delete_leases")
async def _delete_leases(scene: Scene) -> None:
    await _rows_are_lost(scene, "delete_leases", KEYS.leases)


@shows("delete_due")
async def _delete_due(scene: Scene) -> None:
    await _rows_are_lost(scene, "delete_due", KEYS.due)


@shows("delete_held")
async def _delete_held(scene: Scene) -> None:
    await _rows_are_lost(scene, "delete_held", KEYS.held("many"))


@shows("delete_deadlines")
async def _delete_deadlines(scene: Scene) -> None:
    """Rows of jobs that have ended stay: nothing would bring them back."""
    server = await scene.start_server()
    await server.client.zadd(KEYS.deadlines, {"ended": 1, "running": 1, "queued": 1})
    await server.client.zadd(KEYS.active, {"running": 1, "queued": 1})
    digest = sha1(LOSE_DEADLINES.encode(), usedforsecurity=False).hexdigest()
    await scene.inflict("delete_deadlines")
    # Whatever ended between the look and the loss is left alone.
    await server.client.evalsha(digest, 2, KEYS.deadlines, KEYS.active, "ended")
    left = await server.client.zrange(KEYS.deadlines, 0, -1)
    assert len(left) == 2
    assert b"ended" in left


async def _keys_are_lost(scene: Scene, name: str, *keys: str) -> None:
    client = (await scene.start_server()).client
    for key in keys:
        if "ready" in key:
            await client.sadd(key, "j00-1")
        elif key.endswith(("feed", "pulse")):
            await client.xadd(key, {"job": "j00-1"})
        else:
            await client.set(key, 1)
    await client.set(KEYS.job("j00-1"), "stays")
    await scene.inflict(name)
    assert await client.exists(*keys) == 0
    assert await client.exists(KEYS.job("j00-1"))


@shows("delete_ready")
async def _delete_ready(scene: Scene) -> None:
    await _keys_are_lost(scene, "delete_ready", KEYS.ready("step1", "cpu", "many"))


@shows("delete_width")
async def _delete_width(scene: Scene) -> None:
    await _keys_are_lost(scene, "delete_width", f"{KEYS.root}width:step1:cpu")


@shows("delete_taken")
async def _delete_taken(scene: Scene) -> None:
    await _keys_are_lost(scene, "delete_taken", KEYS.taken("a"), KEYS.taken("b"))


@shows("delete_pulse")
async def _delete_pulse(scene: Scene) -> None:
    await _keys_are_lost(scene, "delete_pulse", KEYS.pulse)


@shows("delete_feed")
async def _delete_feed(scene: Scene) -> None:
    await _keys_are_lost(scene, "delete_feed", KEYS.feed, KEYS.epoch)


@shows("trim_feed")
async def _trim_feed(scene: Scene) -> None:
    server = await scene.start_server()
    for number in range(12):
        await server.client.xadd(KEYS.feed, {"job": f"j00-{number}"})
    await scene.inflict("trim_feed")
    left: Any = await server.client.xrange(KEYS.feed)
    assert [entry[1][b"job"] for entry in left] == [f"j00-{number}".encode() for number in range(2, 12)]


@shows("lose_reply")
async def _lose_reply(scene: Scene) -> None:
    proxy, client = await scene.start_proxied()
    answered = 0
    async with scene.during("lose_reply", lasts_s=10.0):
        with contextlib.suppress(RedisConnectionError):
            while answered < 100:
                answered = await client.incr("answered")
    assert answered < 40
    assert proxy.losses == 1
    # It was carried out all the same.
    assert await scene.client().get("answered") == str(answered + 1).encode()


@shows("lose_reply_of")
async def _lose_reply_of(scene: Scene) -> None:
    proxy, client = await scene.start_proxied()
    lost = []
    async with scene.during("lose_reply_of", lasts_s=10.0):
        for verb in verbs():
            try:
                await client.execute_command("EVALSHA", script(verb).digest, 0)  # type: ignore[no-untyped-call]
            except RedisConnectionError:
                lost.append(verb)
            except RedisError:
                pass
    began = scene.told(FaultBegan)[0]
    assert isinstance(began, FaultBegan)
    assert [began.detail] == [f"of {verb}" for verb in lost]
    assert proxy.losses == 1


@shows("blackhole")
async def _blackhole(scene: Scene) -> None:
    proxy, client = await scene.start_proxied()
    await client.ping()
    async with scene.during("blackhole", seed=_seed(breaks=False)):
        assert proxy.hung.is_set()
        began_s = monotonic()
        assert await client.incr("asked") == 1
        assert monotonic() - began_s > 0.2


def _last_of(many: int) -> int:
    """A seed with which the last of so many would be chosen."""
    return next(seed for seed in range(100) if random.Random(seed).choice(range(many)) == many - 1)


def _seed(*, breaks: bool) -> int:
    """One with which a blackhole of the only process ends so."""

    def draws(seed: int) -> bool:
        chance = random.Random(seed)
        chance.choice(["the process"])
        return chance.random() < 0.5

    return next(seed for seed in range(100) if draws(seed) == breaks)


async def test_a_blackhole_may_end_in_broken_connections(scene: Scene) -> None:
    _, client = await scene.start_proxied()
    await client.ping()
    async with scene.during("blackhole", seed=_seed(breaks=True)):
        with pytest.raises(RedisConnectionError):
            await client.incr("asked")
    assert await scene.client().get("asked") is None
    await _assert_well(scene)


@shows("full_disk")
async def _full_disk(scene: Scene) -> None:
    disk = scene.small.disk = make_disk(scene.folder / "disk")
    if disk is None:
        pytest.skip("this user cannot mount a tmpfs")
    async with scene.during("full_disk"):
        with pytest.raises(OSError, match="No space"):
            (disk.path / "file").write_bytes(b"a")


@shows("step_clock")
async def _step_clock(scene: Scene) -> None:
    server = await scene.start_server()
    if not await server.step_clock(0):
        pytest.skip("the clock of this server cannot be stepped")

    async def is_wrong() -> bool:
        return abs((await server.client.time())[0] - _now()) > 1.5

    async with scene.during("step_clock"):
        await eventually(is_wrong)
    assert not await is_wrong()


async def _is(value: bool) -> bool:
    return value


async def _ask(call: Callable[..., Awaitable[object]], *arguments: object) -> object:
    return await call(*arguments)


async def _blocked(scene: Scene) -> bool:
    told: Any = await scene.small.servers[0].client.info("clients")
    return bool(told["blocked_clients"] == 1)


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
    await _assert_well(scene)


async def test_a_restart_is_undone_whenever_it_is_cancelled(scene: Scene) -> None:
    server = await scene.start_server()
    for number in range(8):
        inflicting = asyncio.create_task(scene.inflict("restart_redis", lasts_s=60.0))
        await asyncio.sleep(number * 0.002)
        inflicting.cancel()
        await asyncio.wait({inflicting}, timeout=10.0)
        assert inflicting.cancelled()
        assert await server.client.ping()


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
    await eventually(lambda: _is(len(descendants(process.pid)) == 2))
    assert descendants(None) == []
