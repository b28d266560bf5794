"""A system in a scene of its own: a fresh Redis, two workers and one job that sleeps, until somebody disturbs them.

Scenes wait far more than they compute, so many of them are played at the same time.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from bench.context import OURS, Context, Durability
from bench.course import Moment, read
from bench.server import Server
from bench.systems.process import Broken, Reports, Running, Settings, start
from bench.systems.system import System

WORKERS = 2
READY_S = 150.0
"""Dozens of workers start at the same time."""
TAKEN_S = 60.0
FAST = "fast"
"""Name of the variant of a system that is set to 10 s where it can be."""
Found = TypeVar("Found")
Said = TypeVar("Said")


class Trial(msgspec.Struct, frozen=True):
    """A system with one set of settings."""

    system: System
    variant: str = ""
    """Empty: the defaults."""

    @property
    def ours(self) -> bool:
        return self.system.name == OURS

    @property
    def name(self) -> str:
        return f"{self.system.name} {self.variant}" if self.variant else self.system.name

    @property
    def settings(self) -> str:
        return f"{self.variant}: {self.system.variants[self.variant].what}" if self.variant else "defaults"


class Failed(msgspec.Struct, frozen=True):
    """A scene that could not be played: the adapter or the system did not work. Not a figure."""

    why: str


class Interrupted(RuntimeError):
    """The run ends before its time."""


class Together:
    """What scenes share that are played at the same time."""

    def __init__(self) -> None:
        self.over = threading.Event()
        """Ends every wait."""
        self.handing_in = threading.Lock()
        """One client at a time: dozens that start at the same moment would hold up the workers."""


class Scene:
    """Ends everything that it started with its `with` block."""

    def __init__(self, context: Context, trial: Trial, job_s: float, together: Together) -> None:
        self.trial = trial
        self._context = context
        self._job_s = job_s
        self._together = together
        self._stack = ExitStack()
        self._workers: list[Running] = []
        self._holder: Running | None = None
        self._homes: dict[int, int] = {}
        """Process to the worker that it belongs to, which is the leader of its session."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def open(self) -> None:
        """Starts the server and both workers; they are ready when this returns."""
        self._server = self._stack.enter_context(self._context.server(Durability.EVERYSEC, shipped=self.trial.ours))
        self._reports = self._stack.enter_context(Reports())
        self._settings = Settings(
            redis=self._server.url,
            mode="sleep",
            jobs=1,
            report=self._reports.path,
            concurrency=1,
            variant=self.trial.variant,
            sleep_s=self._job_s,
        )
        for _ in range(WORKERS):
            worker = start(self.trial.system, self._context.environments, "worker", self._settings)
            self._workers.append(self._stack.enter_context(worker))
        for worker in self._workers:
            self._until(partial(_is_ready, worker=worker.pid), READY_S, worker)

    def begin(self) -> None:
        """Hands the job in; it runs when this returns."""
        with self._together.handing_in:
            with start(self.trial.system, self._context.environments, "client", self._settings) as client:
                self._until(_submitted, TAKEN_S, client)
                status = client.wait(TAKEN_S)
                if status:
                    raise Broken(f"the client ended with {status}\n{client.tail()}")
            process = self._until(_first_start, TAKEN_S)
        home = os.getsid(process)
        self._holder = next(worker for worker in self._workers if worker.pid == home)

    @property
    def server(self) -> Server:
        return self._server

    @property
    def holder(self) -> Running:
        """The worker that has the job since `begin`."""
        if self._holder is None:
            raise RuntimeError("the job has not begun")
        return self._holder

    @property
    def gone(self) -> int:
        """Workers that are not there any more."""
        return sum(not worker.is_running() for worker in self._workers)

    def pause(self, seconds: float) -> None:
        """Lets the scene go on by itself."""
        if self._together.over.wait(seconds):
            raise Interrupted

    def course(self, disturbed_ns: int) -> list[Moment]:
        """What happened to the job so far."""
        return self._course(self._reports.seen, disturbed_ns)

    def watch(self, disturbed_ns: int, bound_s: float, is_enough: Callable[[list[Moment], float], bool]) -> None:
        """Waits until the course so far and the seconds since the disturbance are enough, or the bound is reached."""

        def look(seen: list[dict[str, Any]]) -> bool | None:
            now_s = (time.monotonic_ns() - disturbed_ns) / 1e9
            return (now_s >= bound_s or is_enough(self._course(seen, disturbed_ns), now_s)) or None

        self._until(look, bound_s + TAKEN_S)

    def _course(self, seen: Sequence[dict[str, Any]], disturbed_ns: int) -> list[Moment]:
        for report in seen:
            if "process" in report and report["process"] not in self._homes:
                self._homes[report["process"]] = _session_of(report["process"])
        return read(seen, disturbed_ns, self._homes, self.holder.pid)

    def _until(
        self, look: Callable[[list[dict[str, Any]]], Found | None], timeout_s: float, needed: Running | None = None
    ) -> Found:
        def look_or_end(seen: list[dict[str, Any]]) -> Found | None:
            if self._together.over.is_set():
                raise Interrupted
            return look(seen)

        return self._reports.until(look_or_end, timeout_s, needed)


def play(
    scenes: Sequence[Scene],
    act: Callable[[Scene], Said],
    together: Together,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Said | Failed]:
    """Opens all scenes, and once each of them is open or has failed, acts in all of them at the same time.

    Whatever ends this, every process of every scene is gone when it returns. `meanwhile` runs in this thread.
    """
    all_open = threading.Barrier(len(scenes))

    def whole(scene: Scene) -> Said | Failed:
        try:
            with scene:
                try:
                    scene.open()
                finally:
                    all_open.wait()
                return act(scene)
        except (OSError, RuntimeError) as error:
            return Failed(str(error))

    with ThreadPoolExecutor(len(scenes)) as pool:
        futures = [pool.submit(whole, scene) for scene in scenes]
        try:
            meanwhile()
            return [future.result() for future in futures]
        except BaseException:
            together.over.set()
            all_open.abort()
            raise


def trials(systems: Sequence[System]) -> Iterator[Trial]:
    """Every system with its defaults, and again set to 10 s where it can be."""
    for system in systems:
        yield Trial(system)
        if FAST in system.variants:
            yield Trial(system, FAST)


def _is_ready(seen: Sequence[dict[str, Any]], worker: int) -> bool | None:
    return any(each["event"] == "ready" and _session_of(each["pid"]) == worker for each in seen) or None


def _submitted(seen: Sequence[dict[str, Any]]) -> bool | None:
    return any(each["event"] == "submitted" for each in seen) or None


def _first_start(seen: Sequence[dict[str, Any]]) -> int | None:
    return next((each["process"] for each in seen if each["event"] == "started"), None)


def _session_of(process: int) -> int:
    """0 when the process is gone."""
    try:
        return os.getsid(process)
    except ProcessLookupError:
        return 0
