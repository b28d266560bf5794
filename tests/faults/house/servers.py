"""The servers of a run: one on a Unix socket, or three primaries of a cluster, with append-only files.

Their stdout goes to the run's folder; their files lie in directories of their own and are moved there at the end, since
everything that ever happened to the data can be read in them.
"""

import asyncio
import contextlib
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from actors.kernel import RedisOptions, connect
from tests.conftest import RedisServer
from tests.faults.history import Journal, TailLost, now_s
from tests.faults.house.clock import ServerClock, can_be_stepped
from tests.faults.house.environment import FOLDER_VARIABLE
from tests.faults.house.power import MARK_SCRIPT, AppendOnlyFile, mark_key
from tests.faults.house.times import LOST_S, NOTED_EVERY_S
from tests.faults.plan import Fsync, Topology
from tests.kernel.stages import eventually
from tests.kernel.topologies.servers import SLOTS, Cluster

PRIMARIES = 3
MARK_TIMEOUT_S = 0.5
LOADED_WITHIN_S = 30.0


class Startable(Protocol):
    """A redis-server process that a test holds."""

    process: subprocess.Popen[bytes] | None
    directory: Path

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...


class ServerNode:
    """One server and its append-only file."""

    def __init__(
        self,
        name: str,
        server: Startable,
        url: str,
        key: str,
        fsync: Fsync,
        journal: Journal,
        clock: ServerClock | None,
    ) -> None:
        """`key`: one in its slots, for marks."""
        self.name = name
        self.version = ""
        self.client: redis.asyncio.Redis = connect(RedisOptions(url=url))
        """Direct."""
        self._marker = redis.asyncio.Redis.from_url(
            url, socket_timeout=MARK_TIMEOUT_S, socket_connect_timeout=MARK_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._server = server
        self._fsync = fsync
        self._journal = journal
        self._clock = clock
        self._file = AppendOnlyFile(server.directory, key)
        self._noting: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._spawning: asyncio.Future[None] | None = None
        """A thread that starts it goes on when nobody waits for it any more."""

    @property
    def pid(self) -> int | None:
        """None while it is down."""
        return self._server.process.pid if self._server.process is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether its process is there; it may be stopped, or loading."""
        return self._server.process is not None and self._server.process.poll() is None

    async def restart(self) -> None:
        """Returns when it has loaded its file. One that runs goes on."""
        async with self._starting:
            started_s = now_s()
            if not self.alive:
                self._spawning = asyncio.ensure_future(asyncio.to_thread(self._server.start))
                await asyncio.shield(self._spawning)
            await eventually(self._has_loaded, LOADED_WITHIN_S, lambda: f"{self.name} does not load its file")
            await self._begin(started_s)

    async def kill(self) -> None:
        """SIGKILL. With everysec what is acknowledged between the last mark and the signal may be lost."""
        await self._mark()
        await self._end()
        if self._fsync == "everysec":
            self._lose(self._file.holds_until_s(), now_s())

    async def fail_power(self) -> float:
        """SIGKILL; with everysec the last second of its file is gone. Restarted. Since when it may have lost."""
        if not self.alive:
            return now_s()
        await self._end()
        since_s = killed_s = now_s()
        if self._fsync == "everysec":
            self._file.cut(killed_s - LOST_S)
            since_s = self._file.holds_until_s()
            self._lose(since_s, killed_s)
        await self.restart()
        return since_s

    async def rewrite(self) -> None:
        """Its append-only file is written anew. Returns when that is done; what it held before stays."""
        asked_s = now_s()
        await self.client.bgrewriteaof()
        await eventually(self._has_rewritten, LOADED_WITHIN_S, lambda: f"{self.name} does not rewrite its file")
        self._file.begin(asked_s)
        await self._mark()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    async def step_clock(self, offset_s: float) -> bool:
        """Its wall clock shows so much more than the real one. False where that cannot be done to it."""
        if self._clock is None:
            return False
        self._clock.step_to(offset_s)
        return True

    async def close(self, keep: Path) -> None:
        """Ends it; its append-only files go to `keep`."""
        try:
            await self._end()
        finally:
            with contextlib.suppress(RedisError, OSError):
                await self.client.aclose()
                await self._marker.aclose()
            for path in self._server.directory.glob("appendonly*"):
                keep.mkdir(parents=True, exist_ok=True)
                shutil.move(path, keep / path.name)
            await asyncio.to_thread(self._server.stop)

    async def _begin(self, started_s: float) -> None:
        if self._noting is not None and not self._noting.done():
            return
        await self._stop_noting()
        self._file.begin(started_s)
        await self._mark()
        self._noting = asyncio.create_task(self._note())

    async def _note(self) -> None:
        while self.alive:
            self._file.note(now_s())
            await self._mark()
            await asyncio.sleep(NOTED_EVERY_S)

    async def _stop_noting(self) -> None:
        if self._noting is not None:
            noting, self._noting = self._noting, None
            while not noting.done():
                # A client whose connection breaks at this moment swallows a cancellation.
                noting.cancel()
                await asyncio.wait({noting}, timeout=NOTED_EVERY_S)
            if not noting.cancelled():
                noting.result()

    async def _mark(self) -> None:
        """A server that does not answer is not marked: what is then in doubt begins earlier."""
        if self._fsync == "everysec":
            with contextlib.suppress(RedisError, OSError):
                await self._marker.eval(MARK_SCRIPT, 1, self._file.mark_key, repr(now_s()))

    async def _end(self) -> None:
        if self._spawning is not None:
            await asyncio.wait({self._spawning})
        self._signal(signal.SIGKILL)
        if self._server.process is not None:
            await asyncio.to_thread(self._server.process.wait)
        await self._stop_noting()

    def _lose(self, since_s: float, at_s: float) -> None:
        self._journal.add(TailLost(at_s=at_s, server=self.name, since_s=since_s))

    def _signal(self, number: signal.Signals) -> None:
        if self._server.process is not None and self.alive:
            self._server.process.send_signal(number)

    async def _info(self, section: str) -> dict[str, Any]:
        told: dict[str, Any] = await self._marker.info(section)
        return told

    async def _has_rewritten(self) -> bool:
        try:
            told = await self._info("persistence")
        except (RedisError, OSError):
            return False
        return not (told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"])

    async def _has_loaded(self) -> bool:
        try:
            told = await self._info("all")
        except (RedisError, OSError):
            assert self.alive, f"{self.name} ended when it was started"
            return False
        self.version = told["redis_version"]
        return not told["loading"]


class Servers:
    """All of one topology."""

    def __init__(self, topology: Topology, fsync: Fsync, folder: Path, journal: Journal, program: str) -> None:
        """`folder`: where they log, and where their files are kept afterwards."""
        folder.mkdir(parents=True)
        self._folder = folder
        self._cluster: Cluster | None = None
        self._forming: asyncio.Future[None] | None = None
        arguments = [
            "--appendonly", "yes", "--appendfsync", fsync, "--aof-use-rdb-preamble", "no",
            "--auto-aof-rewrite-percentage", "0", "--aof-load-truncated", "yes", "--maxmemory-policy", "noeviction",
            "--hash-max-ziplist-value", "2048", "--logfile", str(folder / "redis.log"),
        ]  # fmt: skip
        if topology == "single":
            server = _one(program, arguments, folder)
            clock = None
            if can_be_stepped(program):
                clock = ServerClock(server.directory / "clock")
                server.environ |= clock.environment
            self.url = server.url
            self.nodes = [ServerNode("redis-0", server, server.url, mark_key(0, SLOTS), fsync, journal, clock)]
        else:
            self._cluster = Cluster(PRIMARIES, program=program, arguments=arguments)
            self.url = self._cluster.url
            share = -(-SLOTS // PRIMARIES)
            self.nodes = [
                ServerNode(
                    f"redis-{number}", primary, f"redis://{primary.address}",
                    mark_key(number * share, (number + 1) * share - 1), fsync, journal, None,
                )
                for number, primary in enumerate(self._cluster.primaries)
            ]  # fmt: skip

    async def start(self) -> None:
        if self._cluster is not None:
            self._forming = asyncio.ensure_future(asyncio.to_thread(self._cluster.start))
            await asyncio.shield(self._forming)
        for node in self.nodes:
            await node.restart()

    async def heal(self) -> None:
        """All run, with their memory and their clock as at first, and a cluster agrees that it is whole."""
        for node in self.nodes:
            node.thaw()
            await node.restart()
            await node.step_clock(0)
        await eventually(self._are_well, LOADED_WITHIN_S, lambda: "the servers are not well")

    async def close(self) -> None:
        if self._forming is not None:
            await asyncio.wait({self._forming})
        await asyncio.gather(*(node.close(self._folder / node.name) for node in self.nodes))

    async def _are_well(self) -> bool:
        try:
            for node in self.nodes:
                await node.client.config_set("maxmemory", "0")
                if self._cluster is not None:
                    told: Any = await node.client.cluster("INFO")
                    if told["cluster_state"] != "ok":
                        return False
        except (RedisError, OSError):
            return False
        return True


def _one(program: str, arguments: Sequence[str], folder: Path) -> RedisServer:
    server = RedisServer(*arguments)
    server.program = program
    server.environ = {FOLDER_VARIABLE: str(folder.parent)}
    return server
