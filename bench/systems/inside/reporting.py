"""What a worker or client of a Python system is told, and how it reports. The standard library only."""

import asyncio
import json
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

SETTINGS: dict[str, Any] = json.loads(os.environ["BENCH"])
REDIS: str = SETTINGS["redis"]
MODE: str = SETTINGS["mode"]
JOBS: int = SETTINGS["jobs"]
FIRST: int = SETTINGS["first"]
CONCURRENCY: int = SETTINGS["concurrency"]
FAST: bool = SETTINGS["variant"] == "fast"
SLEEP_S: float = SETTINGS["sleep_s"]
STAGES = 4
_TOTAL_EVERY_S = 0.05

_fifo = os.open(SETTINGS["report"], os.O_WRONLY | os.O_APPEND)


def tell(event: str, **said: Any) -> None:
    """One line in one write, so that lines of several processes do not mix."""
    os.write(_fifo, json.dumps({"event": event, **said}).encode() + b"\n")


def ready() -> None:
    """To be called once this process consumes."""
    tell("ready", pid=os.getpid())


class Counter:
    """Counts in the handlers of one process when its first job began and its last one ended. Any thread, any fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._process = os.getpid()
        self._jobs = 0
        self._first_ns = 0
        self._last_ns = 0
        self._untold = False

    def began(self) -> None:
        """At the first line of a first stage."""
        if self._first_ns == 0 or self._process != os.getpid():
            with self._lock:
                self._since(time.monotonic_ns())

    def ended(self) -> None:
        """At the last line of a last stage. Told at once when it was the last job of all, else within 50 ms."""
        with self._lock:
            now_ns = time.monotonic_ns()
            self._since(now_ns)
            self._last_ns = now_ns
            self._jobs += 1
            if self._jobs == JOBS:
                self._tell()
            elif not self._untold:
                self._untold = True
                later = threading.Timer(_TOTAL_EVERY_S, self._tell_total)
                later.daemon = True
                later.start()

    def _since(self, now_ns: int) -> None:
        if self._process != os.getpid():
            self._clear()
        if self._first_ns == 0:
            self._first_ns = now_ns

    def _tell_total(self) -> None:
        with self._lock:
            if self._untold:
                self._tell()

    def _tell(self) -> None:
        self._untold = False
        tell("ended", process=self._process, first_ns=self._first_ns, last_ns=self._last_ns, jobs=self._jobs)


COUNTER = Counter()


def started(job: int, stamp_ns: int) -> None:
    """At the first line of a handler in the mode `latency`."""
    now_ns = time.monotonic_ns()
    tell("started", job=job, at_ns=now_ns, latency_ns=now_ns - stamp_ns)


def asleep(event: str, job: int) -> None:
    """`started` or `finished` in the mode `sleep`."""
    tell(event, job=job, at_ns=time.monotonic_ns(), process=os.getpid())


async def sleeping(job: int) -> None:
    """The body of an asynchronous job that sleeps."""
    asleep("started", job)
    await asyncio.sleep(SLEEP_S)
    asleep("finished", job)


def sleeping_here(job: int) -> None:
    """The body of a job that keeps its thread or process."""
    asleep("started", job)
    time.sleep(SLEEP_S)
    asleep("finished", job)


def jobs() -> range:
    """The numbers of this client's jobs."""
    return range(FIRST, FIRST + JOBS)


def submitted(begun_ns: int) -> None:
    """To be called when the client has handed in all of its jobs."""
    tell("submitted", jobs=JOBS, seconds=(time.monotonic_ns() - begun_ns) / 1e9)


def paced() -> Iterator[tuple[int, float]]:
    """Jobs of the mode `latency`, each with its moment on the monotonic clock in seconds."""
    chance = random.Random(SETTINGS["seed"])
    due_s = time.monotonic()
    for job in jobs():
        due_s += chance.uniform(SETTINGS["gap_min_s"], SETTINGS["gap_max_s"])
        yield job, due_s


async def in_open_loop(enqueue: Callable[[int, int], Awaitable[object]]) -> None:
    """Enqueues one job after the other, each at its own moment however long the others take to start."""
    begun_ns = time.monotonic_ns()
    for job, due_s in paced():
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        await enqueue(job, time.monotonic_ns())
    submitted(begun_ns)


def in_open_loop_here(enqueue: Callable[[int, int], object]) -> None:
    """The same for a client that is not asynchronous."""
    begun_ns = time.monotonic_ns()
    for job, due_s in paced():
        time.sleep(max(0.0, due_s - time.monotonic()))
        enqueue(job, time.monotonic_ns())
    submitted(begun_ns)


async def in_bulk(enqueue: Callable[[int], Awaitable[object]], at_once: int = 100) -> None:
    """Enqueues every job, so many at the same time, for a system that has no bulk call of its own."""
    begun_ns = time.monotonic_ns()
    numbers = list(jobs())
    for start in range(0, len(numbers), at_once):
        await asyncio.gather(*(enqueue(job) for job in numbers[start : start + at_once]))
    submitted(begun_ns)


def server() -> tuple[str, int]:
    """Host and port of Redis, for libraries that do not take a URL."""
    parts = urlsplit(REDIS)
    return parts.hostname or "127.0.0.1", parts.port or 6379
