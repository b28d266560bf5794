"""One measured round of one system: its client hands in the jobs, then its worker works them off.

Rates and processor times are those of one window: from the first line of the first job to the last line of the last
one, both told by the handlers. Processor times are read around the edges of the window and interpolated there.
"""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.machine import Watch
from bench.server import Server
from bench.systems.process import Broken, Reports, Running, Settings, start
from bench.systems.system import System

PATIENCE_S = 120.0
"""For the slowest part of a round."""
RARELY_S = 0.5
"""Between two readings of processor times while jobs are worked off."""
Work = Literal["noop", "chain"]


class Measured(msgspec.Struct, frozen=True):
    """One round. Processor times are user and system time of all processes of one kind together."""

    jobs: int
    rate: float
    """Jobs, or chains, a second."""
    submit_rate: float
    """Jobs a second, handed in before the worker started."""
    worker_us: float
    """Processor time of the worker, microseconds a job."""
    redis_us: float
    """Processor time of Redis, microseconds a job."""
    steal_percent: float = 0.0
    """Of the machine's processor time, while the round ran."""
    other_percent: float = 0.0
    """Of one core, used by programs that are not part of the bench."""

    @property
    def worker_busy_percent(self) -> float:
        """Of one core."""
        return self.worker_us * self.rate / 10_000

    @property
    def redis_busy_percent(self) -> float:
        """Of one core."""
        return self.redis_us * self.rate / 10_000


class Window(msgspec.Struct, frozen=True):
    """From the first start to the last end."""

    first_ns: int
    last_ns: int

    @property
    def seconds(self) -> float:
        return (self.last_ns - self.first_ns) / 1e9


class Sample(msgspec.Struct, frozen=True):
    """Processor times at one moment."""

    at_ns: int
    worker_s: float
    redis_s: float


def window_of(seen: Sequence[dict[str, Any]], jobs: int) -> Window | None:
    """The window, once all processes together have told of so many ends; each tells its own total, again and again."""
    totals = {each["process"]: each for each in seen if each["event"] == "ended"}
    if sum(each["jobs"] for each in totals.values()) < jobs:
        return None
    return Window(min(each["first_ns"] for each in totals.values()), max(each["last_ns"] for each in totals.values()))


def at(samples: Sequence[Sample], moment_ns: int) -> Sample:
    """Between the two samples around a moment; the first or the last one where there is nothing around it."""
    later = next((number for number, each in enumerate(samples) if each.at_ns >= moment_ns), None)
    if later is None or later == 0:
        return samples[-1 if later is None else 0]
    before, after = samples[later - 1], samples[later]
    share = (moment_ns - before.at_ns) / (after.at_ns - before.at_ns)
    return Sample(
        moment_ns,
        before.worker_s + share * (after.worker_s - before.worker_s),
        before.redis_s + share * (after.redis_s - before.redis_s),
    )


class Sampler:
    """Reads the processor times of the workers and of Redis."""

    def __init__(self, workers: Sequence[Running], servers: Sequence[Server]) -> None:
        self._workers = workers
        self._servers = servers
        self.samples: list[Sample] = []

    def is_due(self, pause_s: float) -> bool:
        """Whether the last reading is as old as that."""
        return not self.samples or time.monotonic_ns() - self.samples[-1].at_ns >= pause_s * 1e9

    def read(self) -> None:
        worker_s = sum(each.processor_s() for each in self._workers)
        redis_s = sum(each.processor_s() for each in self._servers)
        self.samples.append(Sample(time.monotonic_ns(), worker_s, redis_s))

    def spent(self, window: Window) -> tuple[float, float]:
        """Seconds of the workers and of Redis within the window."""
        first, last = at(self.samples, window.first_ns), at(self.samples, window.last_ns)
        return last.worker_s - first.worker_s, last.redis_s - first.redis_s


def submit(system: System, environments: Path, settings: Settings, reports: Reports) -> float:
    """Hands in all jobs; returns jobs a second. Raises Broken or Late."""
    with start(system, environments, "client", settings) as client:
        (told,) = reports.wait("submitted", timeout_s=PATIENCE_S, needed=client)
        status = client.wait(PATIENCE_S)
    if status:
        raise Broken(f"the client of {system.name} ended with {status}\n{client.tail()}")
    return float(told["jobs"]) / float(told["seconds"])


def work_off(
    workers: Sequence[Running], servers: Sequence[Server], reports: Reports, jobs: int
) -> tuple[Window, Sampler]:
    """Waits until started workers have ended all jobs. Raises Broken or Late."""
    sampler = Sampler(workers, servers)

    def look(seen: list[dict[str, Any]]) -> Window | None:
        window = window_of(seen, jobs)
        # Often before the first job, since nobody says beforehand when that is; then hardly: reading costs 2 ms.
        if window is not None or sampler.is_due(RARELY_S if seen[-1]["event"] == "ended" else 0.0):
            sampler.read()
        return window

    return reports.until(look, PATIENCE_S, workers[0]), sampler


def run_round(
    system: System,
    environments: Path,
    server: Server,
    mode: Work,
    jobs: int,
    *,
    workers: int = 1,
    partitions: int = 1,
) -> Measured:
    """One round on a fresh server. Raises Broken or Late, with what the programs printed."""
    with Watch() as watch, Reports() as reports, contextlib.ExitStack() as stack:
        settings = Settings(redis=server.url, mode=mode, jobs=jobs, report=reports.path, partitions=partitions)
        submit_rate = submit(system, environments, settings, reports)
        running = [stack.enter_context(start(system, environments, "worker", settings)) for _ in range(workers)]
        window, sampler = work_off(running, [server], reports, jobs)
        worker_s, redis_s = sampler.spent(window)
    return Measured(
        jobs=jobs,
        rate=jobs / window.seconds,
        submit_rate=submit_rate,
        worker_us=worker_s / jobs * 1e6,
        redis_us=redis_s / jobs * 1e6,
        steal_percent=watch.steal_percent,
        other_percent=watch.other_percent,
    )
