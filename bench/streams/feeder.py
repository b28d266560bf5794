"""Writes events and progress into Redis at a given pace, as the kernel writes them, from a process of its own."""

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import redis

from actors.kernel import KernelOptions, Partitions

TICK_S = 0.002
MOST = 200
"""Of one call."""
SCRIPT = Path(__file__).with_name("append.lua")
Kind = Literal["event", "pulse", "own"]
MARKS: dict[Kind, str] = {"event": '"sent_us":', "pulse": '"bytes_done":', "own": '"sent_us":'}
"""What stands before the moment, by kind."""


class Fed(msgspec.Struct, frozen=True):
    """What was written."""

    seconds: float
    processor_s: float
    """Of this process."""


class Feeder:
    """One connection to a server that holds an installation of one partition; all jobs are one tenant's."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def use(self, url: str, tenant: str, jobs: Sequence[str]) -> None:
        """Whose jobs are written to, in turn."""
        self._client: redis.Redis = redis.Redis.from_url(url)
        (partition,) = Partitions(1)
        keys = Partitions(1).keys(partition)
        options = KernelOptions()
        self._keys = [keys.feed, keys.pulse, keys.epoch]
        self._common = [tenant, options.feed_length, options.pulse_length, options.log_length]
        self._jobs = [job.encode() for job in jobs]
        self._digest = self._client.script_load(SCRIPT.read_text("utf-8"))

    def feed(self, kind: Kind, rate: float, count: int, *, padding_bytes: int = 0) -> Fed:
        """Writes so many, `rate` a second; what comes late is made up for."""
        padding = f',"padding":"{"x" * padding_bytes}"' if padding_bytes else ""
        began_s, used_s, done = time.monotonic(), time.process_time(), 0
        while done < count:
            due = min(count, int((time.monotonic() - began_s + TICK_S) * rate))
            if few := min(due - done, MOST):
                self._append(kind, padding, few)
                done += few
            if done >= due:
                time.sleep(max(0.0, began_s + done / rate - time.monotonic()))
        return Fed(time.monotonic() - began_s, time.process_time() - used_s)

    def _append(self, kind: Kind, padding: str, count: int) -> None:
        jobs = [self._jobs[next(self._numbers) % len(self._jobs)] for _ in range(count)]
        self._client.evalsha(self._digest, len(self._keys), *self._keys, kind, *self._common, padding, *jobs)  # type: ignore[arg-type]
