"""The processes of a system under test: started in a session of their own, accounted and ended as a whole."""

import contextlib
import itertools
import json
import os
import signal as signals
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import msgspec

from bench.systems import environments as installed
from bench.systems.system import Mode, System

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PIPE_BYTES = 1 << 20
_LOG_TAIL_BYTES = 3000
_numbers = itertools.count(1)
Found = TypeVar("Found")


class Settings(msgspec.Struct, frozen=True):
    """The variable BENCH: what a worker and a client are asked to do."""

    redis: str
    mode: Mode
    jobs: int
    report: str
    """Path of the FIFO."""
    concurrency: int = 100
    variant: str = ""
    sleep_s: float = 60
    gap_min_s: float = 0.01
    gap_max_s: float = 0.03
    seed: int = 1
    first: int = 0
    """Number of the client's first job."""
    partitions: int = 1


class Late(TimeoutError):
    """A report that was waited for did not come in time."""


class Broken(RuntimeError):
    """A program ended although it was still needed; the message ends with its log."""


class Running:
    """One started program with everything that it started. Ends with its `with` block."""

    def __init__(self, words: list[str], folder: Path, environment: dict[str, str], log: Path) -> None:
        self.log = log
        self._final_s: float | None = None
        with log.open("ab") as out:
            self._leader = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                # A session and not only a process group: what puts itself into a group of its own stays in the session.
                start_new_session=True,
            )
        self.pid = self._leader.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def processor_s(self) -> float:
        """User and system time of all of it, in steps of 10 ms, with its children that have ended.

        A process that outlived its own parent and ended is the one thing that is missing.
        """
        if self._final_s is not None:
            return self._final_s
        return sum(each.ticks for each in _session(self.pid)) / _TICKS_A_SECOND

    def is_running(self) -> bool:
        """Whether the first process lives. One that has ended stays a zombie, which still knows its processor time."""
        if self._leader.returncode is not None:
            return False
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def wait(self, timeout_s: float) -> int:
        """Waits until the first process has ended, ends the rest, and returns its exit status. Raises Late."""
        deadline = time.monotonic() + timeout_s
        while self.is_running():
            if time.monotonic() > deadline:
                raise Late(f"{self.pid} still ran after {timeout_s:g} s\n{self.tail()}")
            time.sleep(0.005)
        self.kill()
        return int(self._leader.returncode)

    def signal(self, number: int) -> None:
        """Sends a signal to every process."""
        for each in _session(self.pid):
            if each.alive:
                _send(each.pid, number)

    def kill(self) -> None:
        """SIGKILL to every process, until none is left."""
        if self._leader.returncode is not None:
            return
        deadline = time.monotonic() + 10
        while any(each.alive for each in _session(self.pid)):
            self.signal(signals.SIGKILL)
            if time.monotonic() > deadline:
                raise Late(f"processes of {self.pid} do not end")
            time.sleep(0.002)
        self._final_s = self.processor_s()
        self._leader.wait()

    def stop(self, timeout_s: float = 10) -> None:
        """Asks the first process to end (SIGTERM), waits, and kills what is left."""
        if self.is_running():
            _send(self.pid, signals.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(0.005)
        self.kill()

    def tail(self) -> str:
        """The end of what it printed."""
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace") if self.log.exists() else ""


class _Process(msgspec.Struct, frozen=True):
    pid: int
    alive: bool
    ticks: int


def _session(leader: int) -> list[_Process]:
    """Every process of a session; the leader is there as a zombie until it is waited for."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            text = Path(entry.path, "stat").read_text()
        except OSError:
            continue
        # The name is in brackets and may itself contain blanks and brackets.
        fields = text.rpartition(")")[2].split()
        if int(fields[3]) == leader:
            found.append(_Process(int(entry.name), fields[0] not in "ZX", sum(int(each) for each in fields[11:15])))
    return found


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


class Reports:
    """The FIFO that workers and clients write to. Its folder also takes their logs and goes with the `with` block."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        """In the order of arrival; appended to by the reading thread."""
        self._changed = threading.Condition()
        self._folder = tempfile.TemporaryDirectory(prefix="reelway-bench-")
        self.folder = Path(self._folder.name)
        self.path = str(self.folder / "reports")

    def __enter__(self) -> Self:
        os.mkfifo(self.path)
        # For both directions: with a writer of our own there is no end of file between two other ones.
        self._fifo = os.open(self.path, os.O_RDWR)
        fcntl(self._fifo, F_SETPIPE_SZ, _PIPE_BYTES)
        self._thread = threading.Thread(target=self._read, name="reports", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.write(self._fifo, b"\n\n")
        self._thread.join()
        os.close(self._fifo)
        _end_those_of(self._folder.name)
        self._folder.cleanup()

    def _read(self) -> None:
        rest = b""
        while True:
            *lines, rest = (rest + os.read(self._fifo, 1 << 16)).split(b"\n")
            reports = [json.loads(line) for line in lines if line]
            with self._changed:
                self.seen.extend(reports)
                self._changed.notify_all()
            if b"" in lines:
                return  # an empty line is our own way to say that it is over

    def until(
        self, look: Callable[[list[dict[str, Any]]], Found | None], timeout_s: float, needed: Running | None = None
    ) -> Found:
        """Waits until `look` finds something. Raises Late, or Broken if a needed program has ended before."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                # Asked before the look: what it wrote before it ended has arrived by the next turn at the latest.
                gone = needed is not None and not needed.is_running()
                self._changed.wait(0.05 if gone else 0)
                found = look(self.seen)
                if found is not None:
                    return found
                if gone and needed is not None:
                    raise Broken(f"{needed.pid} has ended\n{needed.tail()}")
                if time.monotonic() > deadline:
                    logs = "".join(f"\n{each.name}:\n{_tail(each)}" for each in sorted(self.folder.glob("*.log")))
                    raise Late(f"not seen within {timeout_s:g} s; last: {self.seen[-3:]}{logs}")
                self._changed.wait(min(0.1, max(0.001, deadline - time.monotonic())))

    def wait(
        self, event: str, count: int = 1, timeout_s: float = 30, needed: Running | None = None
    ) -> list[dict[str, Any]]:
        """Every report of this event since the beginning, as soon as there are `count` of them."""

        def enough(seen: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
            named = [each for each in seen if each["event"] == event]
            return named if len(named) >= count else None

        return self.until(enough, timeout_s, needed)


def _tail(log: Path) -> str:
    return log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")


def _end_those_of(folder: str) -> None:
    """Ends programs that were told to use the folder: one whose start was interrupted is known to nobody else."""
    mark = f"TMPDIR={folder}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            # It may end, or be another user's.
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signals.SIGKILL)


def start(system: System, environments: Path, role: Literal["worker", "client"], settings: Settings) -> Running:
    """Starts one program of a system. Its log lies beside the FIFO, and so does what it leaves when it is killed."""
    first, *others = system.worker if role == "worker" else system.client
    words = [installed.program(system, environments, first), *others]
    folder = Path(settings.report).parent
    told = {"BENCH": msgspec.json.encode(settings).decode(), "TMPDIR": str(folder)}
    environment = installed.variables(system, environments) | told
    log = folder / f"{system.name}-{role}-{next(_numbers)}.log"
    return Running(words, system.folder, environment, log)
