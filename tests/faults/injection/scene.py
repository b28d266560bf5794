"""A house as small as a fault's test needs it: real servers and processes, and nobody who does any work."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL
from typing import cast

from redis.asyncio import Redis

from actors.kernel import RedisOptions, connect
from tests.conftest import redis_program
from tests.faults.history import (
    HISTORY,
    Event,
    FaultBegan,
    FaultEnded,
    FaultPassed,
    Journal,
    ProcessEnded,
    read_history,
)
from tests.faults.house.disk import close_disk
from tests.faults.house.house import House
from tests.faults.house.network import SocketProxy
from tests.faults.house.process import Launch, RoleProcess
from tests.faults.house.servers import ServerNode, Servers
from tests.faults.injection.catalogue import FAULTS
from tests.faults.injection.processes import descendants
from tests.faults.plan import FaultPlan
from tests.kernel.stages import eventually
from tests.small_disk import SmallDisk

SLEEPS = "echo ready; exec sleep 60"
NUMBER = 7


class SmallHouse:
    """What faults see of a house."""

    def __init__(self) -> None:
        self.processes: list[RoleProcess] = []
        self.servers: list[ServerNode] = []
        self.disk: SmallDisk | None = None


class Scene:
    """One small house, and the faults that are inflicted on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / HISTORY)
        self.small = SmallHouse()
        self.house = cast("House", self.small)
        self._servers: Servers | None = None
        self._clients: list[Redis] = []
        self._turns = asyncio.Semaphore(4)

    async def start_server(self) -> ServerNode:
        """With the wheel's program its clock can be stepped."""
        self._servers = Servers("single", "everysec", self.folder / "servers", self.journal, redis_program())
        await self._servers.start()
        self.small.servers = self._servers.nodes
        return self.small.servers[0]

    async def start_process(
        self, roles: tuple[str, ...], script: str = SLEEPS, proxy: SocketProxy | None = None
    ) -> RoleProcess:
        """A shell that runs the script, which says one line when it is ready."""
        name = f"{roles[0]}-{len(self.small.processes) + 1}"
        launch = Launch(
            command=("sh", "-c", script), environment={"PATH": "/usr/bin:/bin"}, directory=self.folder,
            log=self.folder / f"{name}.log", release="current",
        )  # fmt: skip
        process = RoleProcess(name, roles, launch, self.journal, self._turns, proxy)
        self.small.processes.append(process)
        process.begin()
        await process.until_ready()
        return process

    async def start_proxied(self, roles: tuple[str, ...] = ("scripted",)) -> tuple[SocketProxy, Redis]:
        """A process's proxy, and a client in the place of the process."""
        await self.start_server()
        assert self._servers is not None
        proxy = SocketProxy(self.folder / "p", Path(self._servers.url.removeprefix("unix://")))
        await proxy.start()
        await self.start_process(roles, proxy=proxy)
        return proxy, self.client(proxy.url)

    def client(self, url: str | None = None) -> Redis:
        """One connection; direct where no address is given."""
        assert self._servers is not None
        self._clients.append(connect(RedisOptions(url=url or self._servers.url), connections=1))
        return self._clients[-1]

    async def inflict(self, name: str, lasts_s: float = 0.3, seed: int = 1) -> None:
        plan = FaultPlan(at_s=0.0, name=name, lasts_s=lasts_s, seed=seed)
        await FAULTS[name].inflict(plan, NUMBER, self.house, self.journal)

    @contextlib.asynccontextmanager
    async def during(self, name: str, lasts_s: float = 0.3, seed: int = 1) -> AsyncIterator[None]:
        """Inside, the fault has begun; behind, it is undone."""
        inflicting = await self.begin(name, lasts_s, seed)
        try:
            yield
            await inflicting
        finally:
            inflicting.cancel()
            await asyncio.gather(inflicting, return_exceptions=True)

    async def begin(self, name: str, lasts_s: float, seed: int = 1) -> asyncio.Task[None]:
        """Returns when it has begun, or was over before."""
        inflicting = asyncio.create_task(self.inflict(name, lasts_s, seed))

        async def has_begun() -> bool:
            return inflicting.done() or bool(self.told(FaultBegan))

        await eventually(has_begun)
        return inflicting

    def told(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in read_history(self.folder) if isinstance(event, kinds)]

    def faults_told(self) -> list[type[Event]]:
        """What was written down about faults, in short."""
        return [type(event) for event in self.told(FaultBegan, FaultEnded, FaultPassed)]

    def status_of(self, pid: int | None) -> int | None:
        """How this process ended; None: it has not."""
        ended = [event for event in self.told(ProcessEnded) if isinstance(event, ProcessEnded) and event.pid == pid]
        return ended[-1].status if ended else None

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()
        for process in self.small.processes:
            for child in descendants(process.pid):
                os.kill(child, SIGKILL)
            await process.kill()
            if process.proxy is not None:
                process.proxy.resume()
                await process.proxy.stop()
        if self._servers is not None:
            await self._servers.close()
        if self.small.disk is not None:
            close_disk(self.small.disk)
        self.journal.close()


def state_of(pid: int | None) -> str:
    """One letter, as in /proc: T is stopped. Empty: there is no such process."""
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    return ""
