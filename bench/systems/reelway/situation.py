"""What worker and client of Reelway agree on, and their line to the bench."""

import os
import time
from typing import Any

import msgspec

from actors.kernel import Failure, KernelOptions, Partitions
from bench.systems.process import Settings

CHAIN = ("ingest", "fetch", "transcode", "store")
SINGLE = "single"
"""The stage of every mode but the chain."""
QUEUED = "queued"
"""Argument of a worker whose stages all go through their inboxes."""
AT_ONCE = 400
"""Jobs of one stage, where the handlers do nothing: enough for full calls while others are on their way."""
TENANTS = 4
"""In each partition."""
SLOTS_OF_TENANT = 1000
"""A limit that no tenant reaches here, so that it is checked at every take and holds nothing up."""


OPTIONS = KernelOptions()


def read_settings() -> Settings:
    """Raises KeyError or msgspec.ValidationError where BENCH is not what it should be."""
    return msgspec.json.decode(os.environ["BENCH"], type=Settings)


def stages_of(settings: Settings) -> tuple[str, ...]:
    return CHAIN if settings.mode == "chain" else (SINGLE,)


def name_tenants(partitions: Partitions) -> list[str]:
    """As many in every partition, so that all of them have the same to do."""
    missing = dict.fromkeys(partitions, TENANTS)
    names: list[str] = []
    number = 0
    while any(missing.values()):
        name = f"tenant-{number}"
        partition = partitions.of_tenant(name)
        if missing[partition]:
            missing[partition] -= 1
            names.append(name)
        number += 1
    return names


class Report:
    """The line to the bench. Every line is one write, so lines of several processes do not mix."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)

    def say(self, event: str, **facts: Any) -> None:
        os.write(self._file, msgspec.json.encode({"event": event, **facts}) + b"\n")


class Count:
    """Starts and ends of one process. Said when all jobs have ended, and every 50 ms for those who share the work."""

    TICK_S = 0.05

    def __init__(self, report: Report, jobs: int) -> None:
        self._report = report
        self._jobs = jobs
        self._first_ns = 0
        self._last_ns = 0
        self._ended = 0
        self._said = 0

    def begin(self) -> None:
        if not self._first_ns:
            self._first_ns = time.monotonic_ns()

    def end(self) -> None:
        self._ended += 1
        self._last_ns = time.monotonic_ns()
        if self._ended == self._jobs:
            self.say()

    def say(self) -> None:
        """Says how many there are, if there are more than were said before."""
        if self._ended > self._said:
            self._said = self._ended
            self._report.say(
                "ended", process=os.getpid(), first_ns=self._first_ns, last_ns=self._last_ns, jobs=self._ended
            )


class NoFailures:
    """Every failure is a bug of the benchmark and ends its job."""

    def decide(self, stage: str, attempt: int, failure: BaseException) -> Failure:
        body = msgspec.json.encode({"code": "BENCH", "message": f"{stage}: {failure!r}", "attempt": attempt})
        return Failure(cls="permanent", code="BENCH", delay_ms=0, budget=1, error=body, reason=body)
