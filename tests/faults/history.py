"""What happened in a run, as its clients saw it and its workers wrote it down: one closed set of records.

Every `at_s` is CLOCK_MONOTONIC, which all processes of a machine share and no shifted wall clock touches. The driver
appends to `history.jsonl`; scripted actors append to `executions.jsonl` themselves, one write a line, so that what a
killed process did is known.
"""

import os
import time
from pathlib import Path
from typing import Literal

import msgspec

HISTORY = "history.jsonl"
EXECUTIONS = "executions.jsonl"


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something at one moment."""

    at_s: float


class Answered(Happening, frozen=True, kw_only=True):
    """A client got an answer at `at_s` to what it asked at `asked_s`. `status`: of HTTP, or the kernel's outcome."""

    asked_s: float
    status: str


class Submitted(Answered, frozen=True, tag="submitted"):
    """A 2xx. A job is submitted again, under the same key, after a refusal, a lost reply or a lost tail of Redis."""

    number: int
    job: str
    tenant: str
    key: str


class Refused(Answered, frozen=True, tag="refused"):
    """Not accepted; the client comes back."""

    number: int


class CancelAnswered(Answered, frozen=True, tag="cancelled"):
    """`status`: cancelled or flagged (2xx), terminal (409), gone (404)."""

    job: str


class ReplayAnswered(Answered, frozen=True, tag="replayed"):
    """`status`: ok, illegal, parent or gone."""

    job: str


class Missing(Happening, frozen=True, tag="missing"):
    """A client that had a 2xx for this job was told that there is no such job."""

    job: str


class Frame(Happening, frozen=True, tag="frame"):
    """What one watcher received. `connection` counts its connections from 1."""

    watcher: str
    job: str
    connection: int
    event: str
    id: str | None = None
    rev: int | None = None
    state: str | None = None
    """Of a snapshot or resync."""
    percent: float | None = None
    """Of a snapshot, resync or progress."""


class WatcherLeft(Happening, frozen=True, tag="watcher_left"):
    """`how`: `end` (the server said so), `gone` (204 or 404), `left` (its plan), `run_over` (it was still there)."""

    watcher: str
    job: str
    how: Literal["end", "gone", "left", "run_over"]


class ExecutionStarted(Happening, frozen=True, tag="execution_started"):
    """A handler began. Written by the worker."""

    job: str
    stage: str
    fence: str
    tenant: str
    attempt: int
    crashes: int
    pid: int


class ExecutionEnded(Happening, frozen=True, tag="execution_ended"):
    """A handler ended; the end of its lease comes after.

    `kills`: it kills its process now, as planned. `throttled`: it must wait, which spends nothing.
    """

    job: str
    stage: str
    fence: str
    pid: int
    how: Literal["done", "error", "throttled", "refused", "split", "stopped", "kills", "bug"]


class ProcessStarted(Happening, frozen=True, tag="process_started"):
    """A role process is ready. `name` stays the same over restarts (`scripted-1`), the pid does not."""

    name: str
    roles: tuple[str, ...]
    pid: int
    release: str = "current"


class ProcessEnded(Happening, frozen=True, tag="process_ended"):
    """`status` as of waitpid: negative is a signal."""

    name: str
    pid: int
    status: int


class FaultBegan(Happening, frozen=True, tag="fault_began"):
    """`victims`: names of processes, servers (`redis-0`) or keys. `number`: its place in the plan."""

    number: int
    name: str
    victims: tuple[str, ...] = ()
    detail: str = ""


class FaultEnded(Happening, frozen=True, tag="fault_ended"):
    """What it did is undone, except what it destroyed."""

    number: int
    name: str


class FaultPassed(Happening, frozen=True, tag="fault_passed"):
    """It did not happen, since there was nothing to hit."""

    number: int
    name: str
    why: str


class TailLost(Happening, frozen=True, tag="tail_lost"):
    """A power failure: what this server acknowledged between `since_s` and `at_s` may be undone."""

    server: str
    since_s: float


class Sample(Happening, frozen=True, tag="sample"):
    """What Redis held of one tenant with a limit, at one moment of the server."""

    tenant: str
    limit: int
    slots: int
    """Members of `run:<tenant>`."""
    running: int
    """Jobs in state running."""


Event = (
    Submitted | Refused | CancelAnswered | ReplayAnswered | Missing | Frame | WatcherLeft
    | ExecutionStarted | ExecutionEnded | ProcessStarted | ProcessEnded
    | FaultBegan | FaultEnded | FaultPassed | TailLost | Sample
)  # fmt: skip

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def now_s() -> float:
    """The clock of every record."""
    return time.monotonic()


class Journal:
    """Appends records to one file, a whole line a write: lines of several processes do not mix, and none is half."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def add(self, event: Event) -> None:
        os.write(self._descriptor, msgspec.json.encode(event) + b"\n")

    def close(self) -> None:
        os.close(self._descriptor)


def read_history(folder: Path) -> list[Event]:
    """Every record of a run in the order of time."""
    events: list[Event] = []
    for name in (HISTORY, EXECUTIONS):
        path = folder / name
        if path.exists():
            events += map(_decoder.decode, path.read_bytes().splitlines())
    return sorted(events, key=lambda event: event.at_s)
