"""One role process as an orchestrator runs it: it is started, and started again whenever it has ended."""

import asyncio
import contextlib
import random
import signal
from pathlib import Path

import msgspec

from tests.faults.history import Journal, ProcessEnded, ProcessStarted, now_s
from tests.faults.house.environment import FOLDER_VARIABLE
from tests.faults.house.network import SocketProxy
from tests.faults.house.times import LONGEST_PAUSE_S, RESTART_S
from tests.kernel.stages import eventually

TURN_S = 3.0
"""How long a start may keep others waiting. Whoever then still waits for Redis waits beside them."""
LOOK_S = 0.05
"""Between two looks at what a process has written."""
END_OF_LOG_BYTES = 2000
ENDING = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How one process is started."""

    command: tuple[str, ...]
    environment: dict[str, str]
    """All of it."""
    directory: Path
    """Where it is started."""
    log: Path
    """Gets its stderr. Its stdout goes beside it, under the suffix `.out`."""
    release: str
    logs_ready: bytes = b""
    """What it writes into its log when it works. Empty: it writes a line to stdout instead."""

    @property
    def out(self) -> Path:
        return self.log.with_suffix(".out")


class RoleProcess:
    """A process with a name, which stays the same over its restarts."""

    def __init__(
        self,
        name: str,
        roles: tuple[str, ...],
        launch: Launch,
        journal: Journal,
        turns: asyncio.Semaphore,
        proxy: SocketProxy | None = None,
    ) -> None:
        """`turns`: how many may start at once; a start needs much of the processor."""
        self.name = name
        self.roles = roles
        self.launch = launch
        self.proxy = proxy
        """Its own way to Redis; None: it goes there directly."""
        self.ready = False
        """Whether it has said that it works, and has not ended or been told to end since."""
        self.generation = 0
        """How often it has become ready."""
        self.status: int | None = None
        """How it ended last, as of waitpid."""
        self._journal = journal
        self._turns = turns
        self._chance = random.Random(name)
        self._process: asyncio.subprocess.Process | None = None
        self._told_to_end = False
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._living: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """None while it is down. It is there before it is ready."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    @property
    def resting(self) -> bool:
        """While True it is not started again. Who runs goes on."""
        return not self._wanted.is_set()

    @resting.setter
    def resting(self, rests: bool) -> None:
        if rests:
            self._wanted.clear()
        else:
            self._wanted.set()

    def signal(self, number: int) -> bool:
        """False when it is down."""
        if self._process is None or self._process.returncode is not None:
            return False
        try:
            self._process.send_signal(number)
        except ProcessLookupError:
            return False
        if number in ENDING:
            self._told_to_end = True
            self.ready = False
        return True

    def begin(self) -> None:
        """From now on it is kept running."""
        self._living = asyncio.create_task(self._live(), name=self.name)

    async def until_ready(self) -> None:
        """Raises what keeps it from being started at all."""
        while not self.ready:
            if self._living is not None and self._living.done():
                await self._living
            await asyncio.sleep(LOOK_S)

    async def terminate(self, within_s: float) -> int:
        """SIGTERM, and how it ended; of one that is down, how it ended last. Killed when the time is over."""
        self.resting = True
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        with contextlib.suppress(AssertionError):
            await eventually(self._is_down, within_s)
        await self.kill()
        assert self.status is not None, f"{self.name} was never started"
        return self.status

    async def kill(self) -> None:
        """For good."""
        self.resting = True
        if self._living is not None:
            while not self._living.done() and not await self._is_down():
                self.signal(signal.SIGKILL)
                await asyncio.wait({self._living}, timeout=LOOK_S)
            self._living.cancel()
            await asyncio.gather(self._living, return_exceptions=True)

    def end_of_log(self) -> str:
        """The last that it wrote."""
        with contextlib.suppress(FileNotFoundError):
            return self.launch.log.read_bytes()[-END_OF_LOG_BYTES:].decode(errors="replace")
        return "it has written nothing"

    async def _is_down(self) -> bool:
        return self._process is None

    async def _live(self) -> None:
        ended_early = 0
        while True:
            await self._wanted.wait()
            generation = self.generation
            await self._one_life()
            ended_early = ended_early + 1 if generation == self.generation else 0
            pause_s = self._chance.uniform(*RESTART_S) * 2**ended_early
            await asyncio.sleep(min(pause_s, LONGEST_PAUSE_S))

    async def _one_life(self) -> None:
        async with self._turns:
            if self.resting:
                return
            files = {self.launch.log: _size(self.launch.log), self.launch.out: _size(self.launch.out)}
            self._told_to_end = False
            process = self._process = await self._spawn()
            if self.resting:
                # Told while it came up, when there was nobody to tell it to.
                self.signal(signal.SIGTERM)
            ending = asyncio.create_task(process.wait())
            starting = asyncio.create_task(self._until_it_works(process.pid, files))
            await asyncio.wait({ending, starting}, timeout=TURN_S, return_when=asyncio.FIRST_COMPLETED)
        try:
            self.status = await asyncio.shield(ending)
            self._journal.add(ProcessEnded(at_s=now_s(), name=self.name, pid=process.pid, status=self.status))
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            self.ready = False
            self._process = None

    async def _spawn(self) -> asyncio.subprocess.Process:
        launch = self.launch
        with launch.log.open("ab") as log, launch.out.open("ab") as out:
            return await asyncio.create_subprocess_exec(
                *launch.command, cwd=launch.directory, env=launch.environment,
                stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=log,
            )  # fmt: skip

    async def _until_it_works(self, pid: int, files: dict[Path, int]) -> None:
        """`files`: what it writes to, with their sizes before it was started."""
        launch = self.launch
        path, sign = (launch.log, launch.logs_ready) if launch.logs_ready else (launch.out, b"\n")
        while sign not in _since(path, files[path]):  # noqa: ASYNC110 - a file does not call back
            await asyncio.sleep(LOOK_S)
        self.ready = not self._told_to_end
        self.generation += 1
        self._journal.add(
            ProcessStarted(at_s=now_s(), name=self.name, roles=self.roles, pid=pid, release=launch.release)
        )


def processes_of(folder: Path) -> dict[int, str]:
    """Process id and command line of everything that a run with this folder has started, servers aside."""
    mark = f"{FOLDER_VARIABLE}={folder}".encode()
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            ended = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if not ended and mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return found


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _since(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()
