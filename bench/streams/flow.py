"""Events that pass from Redis to the sockets of watchers, and what that cost each process. Pure."""

import statistics
from collections.abc import Sequence

import msgspec

from bench.streams.feeder import Kind
from bench.systems.percentiles import curve, percentile

LAST = 20
"""The lag is that of the last of so many parts."""


class Load(msgspec.Struct, frozen=True):
    """What is written, to all jobs in turn."""

    kind: Kind
    rate: float
    """A second."""
    seconds: float


class Busy(msgspec.Struct, frozen=True):
    """Processor time of each process, in seconds."""

    serving_s: float
    redis_s: float
    watchers_s: float
    feeder_s: float

    @property
    def total_s(self) -> float:
        return self.serving_s + self.redis_s + self.watchers_s + self.feeder_s


class Waits(msgspec.Struct, frozen=True):
    """From the moment at which an event was written until its bytes lay at the client's socket, in milliseconds."""

    p50_ms: float
    p99_ms: float
    longest_ms: float
    lag_ms: float
    """Median of the last deliveries."""
    curve: tuple[tuple[float, ...], tuple[float, ...]]


class Flow(msgspec.Struct, frozen=True):
    """One load, carried."""

    load: Load
    wanted: int
    """Events of jobs that somebody watches."""
    delivered: int
    seconds: float
    """From the first write until everything was delivered and that was seen: what `busy` is a share of."""
    per_s: float
    """Deliveries, between the first and the last."""
    busy: Busy
    waits: Waits | None
    """None: nothing was delivered."""
    resyncs: int
    closed: int

    @property
    def whole(self) -> bool:
        """Everything was delivered, and nobody had to read anew."""
        return self.delivered == self.wanted and not self.resyncs and not self.closed

    @property
    def per_processor_s(self) -> float:
        """Deliveries that a second of processor time of the serving process is worth."""
        return self.delivered / self.busy.serving_s if self.busy.serving_s else 0.0

    def percent(self, used_s: float) -> float:
        """Of one core."""
        return 100 * used_s / self.seconds


def per_s(sent_us: Sequence[int], took_us: Sequence[int]) -> float:
    """Arrivals a second, on the clock of the clients."""
    if len(sent_us) < 2:
        return 0.0
    span_us = sent_us[-1] + took_us[-1] - sent_us[0] - took_us[0]
    return (len(sent_us) - 1) / max(span_us, 1) * 1e6


def waits(took_us: Sequence[int]) -> Waits | None:
    """From the times of all deliveries, in the order of their arrival."""
    if not took_us:
        return None
    ms = [each / 1000 for each in took_us]
    return Waits(
        p50_ms=percentile(ms, 50),
        p99_ms=percentile(ms, 99),
        longest_ms=max(ms),
        lag_ms=statistics.median(ms[-max(1, len(ms) // LAST) :]),
        curve=curve(ms),
    )
