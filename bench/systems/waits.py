"""How long jobs of one system wait for their start, under several loads one after the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.machine import Watch
from bench.server import Server
from bench.systems.process import Broken, Late, Reports, Running, Settings, start
from bench.systems.system import System

UNCOUNTED = 5
"""First jobs of every load: their client opens its connections meanwhile."""
READY_S = 30.0
CATCH_UP_S = 30.0
"""How long a system may take for what it has not started when the last job was handed in."""


class Load(msgspec.Struct, frozen=True):
    """Jobs that come one after the other, whatever becomes of those before them."""

    name: str
    jobs: int
    """Those that count."""
    gap_s: float
    """Mean time from one job to the next; each gap is between half of it and one and a half."""

    def settings(self, server: Server, reports: Reports, position: int, seed: int) -> Settings:
        """For the client of the load at this position of a round."""
        return Settings(
            redis=server.url,
            mode="latency",
            jobs=self.jobs + UNCOUNTED,
            report=reports.path,
            gap_min_s=self.gap_s / 2,
            gap_max_s=self.gap_s * 1.5,
            seed=seed,
            first=position * 1_000_000,
        )


class Waits(msgspec.Struct, frozen=True):
    """What one load found in one round."""

    ms: tuple[float, ...]
    """From just before the hand-in to the first line of the job, in the order of the starts."""
    jobs_per_s: float
    """The load that the client reached."""
    steal_percent: float
    other_percent: float


def measure(
    system: System, environments: Path, server: Server, loads: Sequence[Load], seed: int
) -> dict[str, Waits | str]:
    """One worker, then every load in turn: its waits, or why there are none. Raises Broken or Late for the worker."""
    found: dict[str, Waits | str] = {}
    with Reports() as reports:
        first = loads[0].settings(server, reports, 0, seed)
        with start(system, environments, "worker", first) as worker:
            reports.wait("ready", timeout_s=READY_S, needed=worker)
            for position, load in enumerate(loads):
                settings = load.settings(server, reports, position, seed)
                try:
                    found[load.name] = _one(system, environments, settings, reports, worker)
                except Late as error:
                    found[load.name] = _first_line(error)
    return found


def _one(system: System, environments: Path, settings: Settings, reports: Reports, worker: Running) -> Waits:
    expected_s = settings.jobs * (settings.gap_min_s + settings.gap_max_s) / 2
    with Watch() as watch:
        with start(system, environments, "client", settings) as client:
            told = reports.until(lambda seen: submitted(seen, settings), READY_S + 4 * expected_s + CATCH_UP_S, client)
            if client.wait(CATCH_UP_S):
                raise Broken(f"the client of {system.name} failed\n{client.tail()}")
        ms = reports.until(lambda seen: started_ms(seen, settings), CATCH_UP_S, worker)
    return Waits(ms, settings.jobs / told, watch.steal_percent, watch.other_percent)


def submitted(seen: Sequence[dict[str, Any]], settings: Settings) -> float | None:
    """The seconds that the last client took, once as many clients have told as there were loads so far."""
    told = [each["seconds"] for each in seen if each["event"] == "submitted"]
    return float(told[-1]) if len(told) > settings.first // 1_000_000 else None


def started_ms(seen: Sequence[dict[str, Any]], settings: Settings) -> tuple[float, ...] | None:
    """Waits of this load's jobs that count, once all of them have started."""
    jobs = range(settings.first + UNCOUNTED, settings.first + settings.jobs)
    found: dict[int, float] = {}
    for each in seen:
        if each["event"] == "started" and each["job"] in jobs:
            # A job that is started twice was late once.
            found.setdefault(each["job"], each["latency_ns"] / 1e6)
    return tuple(found.values()) if len(found) == len(jobs) else None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
