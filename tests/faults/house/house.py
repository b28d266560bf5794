"""The installation that a run kills things in: servers, role processes, a disk, and whoever starts them again."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from actors.installation import kernel_options
from actors.kernel import Keeper, Partitions, RedisOptions, connect, persist
from actors.settings import load
from tests.conftest import redis_program as default_program
from tests.faults.history import Journal
from tests.faults.house import environment, releases
from tests.faults.house.clock import AN_HOUR_AHEAD
from tests.faults.house.disk import close_disk, make_disk
from tests.faults.house.network import SocketProxy
from tests.faults.house.process import Launch, RoleProcess, processes_of
from tests.faults.house.servers import ServerNode, Servers
from tests.faults.house.times import HEAL_S, PARTITIONS, STOP_S, TENANT_LIMITS
from tests.faults.plan import Profile
from tests.kernel.topologies.servers import free_port

STARTS_AT_ONCE = 4
Roles = tuple[str, ...]
GATEWAY: Roles = ("gateway", "reaper")
MEDIA: Roles = ("ingest", "fetch", "store", "notify")
TRANSCODE: Roles = ("transcode",)
SCRIPTED: Roles = ("scripted",)
PROXIED = frozenset({"gateway-2", "media-2", "transcode-2", "scripted-2", "scripted-3"})
"""They reach Redis through a proxy of their own, where there is one server."""
WRONG_CLOCKS = frozenset({"media-2", "scripted-3"})
"""Their machines' clocks are an hour ahead."""
TRANSCODE_IS_READY = b'"actor.ready"'


class House:
    """Everything of a run that can break. `folder` is empty at first and keeps logs, data and storage."""

    def __init__(self, profile: Profile, folder: Path, journal: Journal, *, redis_program: str | None = None) -> None:
        """Starts nothing. Raises LookupError when a release of the profile is not on this machine."""
        self.profile = profile
        self.folder = folder.absolute()
        self.logs = self.folder / "logs"
        self.data = self.folder / "data"
        """The data directory of each process is in here, under its name; its scratch folder in that."""
        self.key = environment.KEY
        self.partitions = Partitions(PARTITIONS)
        self.processes: list[RoleProcess] = []
        self._journal = journal
        self._releases = [releases.release(name) for name in profile.releases]
        self._sockets = Path(tempfile.mkdtemp(prefix="rw-"))
        self._turns = asyncio.Semaphore(STARTS_AT_ONCE)
        self._ports = [free_port(), free_port()]
        self.gateway_urls = [f"http://127.0.0.1:{port}" for port in self._ports]
        self.logs.mkdir()
        self.data.mkdir()
        self._servers = Servers(
            profile.topology, profile.fsync, self.folder / "servers", journal, redis_program or default_program()
        )
        self.url = self._servers.url
        self.disk = make_disk(self.folder / "disk")
        self.storage = (self.folder if self.disk is None else self.disk.path) / "storage"
        self.storage.mkdir()
        self._told = environment.settings(self.folder, self.storage, self.url, None)
        self.options = kernel_options(load(_settings_in(self._told)))

    @property
    def servers(self) -> list[ServerNode]:
        return self._servers.nodes

    def cast(self) -> dict[str, Roles]:
        """Name and roles of every process."""
        kinds = {"gateway": (2, GATEWAY)}
        if self.profile.ffmpeg != "none":
            kinds |= {"media": (2, MEDIA), "transcode": (2, TRANSCODE)}
        kinds |= {"scripted": (3, SCRIPTED)}
        return {f"{kind}-{number}": roles for kind, (many, roles) in kinds.items() for number in range(1, many + 1)}

    async def start(self) -> None:
        """Returns when every process works."""
        await self._servers.start()
        await self._set_limits()
        if self.profile.ffmpeg != "none":
            from tests.faults.media.programs import ffmpeg_for

            ffmpeg = await ffmpeg_for(self.profile, self.folder)
            self._told = environment.settings(self.folder, self.storage, self.url, ffmpeg)
        workers = 0
        for name, roles in self.cast().items():
            release = self._releases[workers % len(self._releases)]
            if roles == GATEWAY:
                release = releases.CURRENT
            else:
                workers += 1
            self.processes.append(await self._process(name, roles, release))
        for process in self.processes:
            process.begin()
        await self._until_all_work()

    async def heal(self) -> None:
        """Undoes everything; returns when every process works. AssertionError names those that do not in time."""
        if self.disk is not None:
            self.disk.empty()
        await self._servers.heal()
        for process in self.processes:
            if process.proxy is not None:
                process.proxy.restore()
            process.signal(signal.SIGCONT)
            process.resting = False
        await self._until_all_work()

    async def stop(self) -> dict[str, int]:
        """SIGTERM to all, the workers first. Name to exit status; who does not end in time is killed."""
        ends_at = monotonic() + STOP_S
        statuses: dict[str, int] = {}
        gateways = [process for process in self.processes if process.roles == GATEWAY]
        workers = [process for process in self.processes if process.roles != GATEWAY]
        for group in (workers, gateways):
            left_s = max(ends_at - monotonic(), 1.0)
            ended = await asyncio.gather(*(process.terminate(left_s) for process in group))
            statuses |= {process.name: status for process, status in zip(group, ended, strict=True)}
        return statuses

    async def close(self) -> None:
        """Nothing is left but the folder, whatever has been started."""
        await asyncio.gather(*(process.kill() for process in self.processes), return_exceptions=True)
        servers = {node.pid for node in self.servers}
        for pid in processes_of(self.folder):
            if pid not in servers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for proxy in self._proxies():
            await proxy.stop()
        try:
            await self._servers.close()
        finally:
            if self.disk is not None:
                close_disk(self.disk)
            shutil.rmtree(self._sockets, ignore_errors=True)

    async def _process(self, name: str, roles: Roles, release: releases.Release) -> RoleProcess:
        proxy = None
        if name in PROXIED and self.profile.topology == "single":
            proxy = SocketProxy(self._sockets / f"{name}.sock", Path(self.url.removeprefix("unix://")))
            await proxy.start()
        port = self._ports[int(name[-1]) - 1] if roles == GATEWAY else None
        own = environment.of_one(self.data / name, port, proxy.url if proxy else None)
        wrong_clock = AN_HOUR_AHEAD if name in WRONG_CLOCKS else {}
        launch = Launch(
            command=release.scripted_command() if roles == SCRIPTED else release.role_command(roles),
            environment=release.told({**environment.inherited(), **self._told, **own, **wrong_clock}),
            directory=release.root,
            log=self.logs / f"{name}.log",
            release=release.name,
            logs_ready=TRANSCODE_IS_READY if roles == TRANSCODE else b"",
        )
        return RoleProcess(name, roles, launch, self._journal, self._turns, proxy)

    async def _set_limits(self) -> None:
        client = connect(RedisOptions(url=self.url), connections=1)
        try:
            keeper = Keeper(client, self.partitions, self.options)
            for tenant, limit in TENANT_LIMITS.items():
                await persist(lambda tenant=tenant, limit=limit: keeper.set_limit(tenant, limit))  # type: ignore[misc]
        finally:
            await client.aclose()

    async def _until_all_work(self) -> None:
        try:
            async with asyncio.timeout(HEAL_S):
                # One that has worked may end while another one starts.
                while not all(process.ready for process in self.processes):
                    await asyncio.gather(*(process.until_ready() for process in self.processes))
        except TimeoutError:
            idle = [process for process in self.processes if not process.ready]
            told = "\n".join(f"--- {process.name}, pid {process.pid}\n{process.end_of_log()}" for process in idle)
            names = ", ".join(process.name for process in idle)
            raise AssertionError(f"not working after {HEAL_S} s: {names}\n{told}") from None

    def _proxies(self) -> Iterator[SocketProxy]:
        return (process.proxy for process in self.processes if process.proxy is not None)


def _settings_in(told: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in told.items() if name.startswith("REELWAY_")}
