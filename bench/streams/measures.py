"""What is measured of one peer in one round."""

import time
from contextlib import closing
from http.client import HTTPConnection

import msgspec

from bench.context import Context
from bench.streams.crowd import Crowd
from bench.streams.feeder import MARKS, Kind
from bench.streams.flow import Flow, Load
from bench.streams.raw import WAYS
from bench.streams.watched import Peer, Watched, watched

WATCHERS, QUICK_WATCHERS = 1000, 40
IDLE, QUICK_IDLE = 5000, 200
WARMERS = 50
IDLE_S, QUICK_IDLE_S = 21.0, 0.5
"""Longer than the pause between two signs of life of the gateway."""
CALM, STEADY = 5000.0, 20_000.0
"""Deliveries a second."""
CALM_S, STEADY_S, QUICK_S = 4.0, 5.0, 0.5
WARM_UP_S = 1.0
QUICK_SHARE = 0.1
DEAF, QUICK_DEAF = 200, 4
DEAF_RATE, DEAF_S = 10_000.0, 4.0
DEAF_EVENTS, DEAF_BYTES = 100, 2048
"""Written to each of them: more than the kernel and the gateway keep for one connection."""
GIVEN_UP_S = 30.0
RAW_S = 60.0
RAW_ROUNDS, QUICK_RAW_ROUNDS = 200, 500


class Idle(msgspec.Struct, frozen=True):
    """Watchers of jobs to which nothing happens."""

    watchers: int
    resident_bytes: float
    """Of the serving process, for each."""
    processor_us: float
    """A second, for each."""


class Raw(msgspec.Struct, frozen=True):
    """The same frames without Redis."""

    per_processor_s: float
    per_s: float


class Deaf(msgspec.Struct, frozen=True):
    """Watchers that never read, beside others."""

    watchers: int
    without: Flow
    beside: Flow
    growth_bytes: int
    """Of the serving process, from before they came to the most there was."""
    given_up_s: float | None
    """After the last large event; None: not within the time that was waited."""


def idle(context: Context, peer: Peer) -> Idle:
    """Memory and processor time of watchers that wait."""
    count = QUICK_IDLE if context.quick else IDLE
    with watched(context, peer, count) as at:
        # What the first ones make the process load and allocate belongs to none of them.
        at.open(peer.transport, 0, WARMERS)
        at.crowd.ask(Crowd.close)
        before = at.memory.resident_bytes
        at.open(peer.transport, 0, count)
        used_s, began_s = at.processor_s, time.monotonic()
        time.sleep(QUICK_IDLE_S if context.quick else IDLE_S)
        used_s, seconds = at.processor_s - used_s, time.monotonic() - began_s
        return Idle(count, (at.memory.resident_bytes - before) / count, 1e6 * used_s / seconds / count)


def loads(context: Context, kind: Kind) -> list[Load]:
    """What is carried, the calm one first."""
    if context.quick:
        return [Load(kind, QUICK_SHARE * rate, QUICK_S) for rate in (CALM, STEADY)]
    return [Load(kind, CALM, CALM_S), Load(kind, STEADY, STEADY_S)]


def flows(context: Context, peer: Peer, kinds: tuple[Kind, ...]) -> dict[Kind, list[Flow]]:
    """Each kind at each load, through one process and the same watchers, each of a job of its own."""
    count = QUICK_WATCHERS if context.quick else WATCHERS
    found: dict[Kind, list[Flow]] = {}
    with watched(context, peer, count) as at:
        at.open(peer.transport, 0, count)
        for kind in kinds:
            calm, *others = loads(context, kind)
            _warm_up(at, calm, watched=count)
            found[kind] = [at.flow(load, watched=count) for load in (calm, *others)]
    return found


def _warm_up(at: Watched, load: Load, *, watched: int) -> None:
    at.flow(Load(load.kind, load.rate, min(WARM_UP_S, load.seconds)), watched=watched)


def raw(context: Context, peer: Peer) -> dict[str, Raw]:
    """Every way to write, as fast as it goes."""
    count, rounds = (QUICK_WATCHERS, QUICK_RAW_ROUNDS) if context.quick else (WATCHERS, RAW_ROUNDS)
    found = {}
    with watched(context, peer, count) as at:
        at.open(peer.transport, 0, count)
        for way in WAYS:
            at.crowd.ask(Crowd.listen, MARKS["event"])
            used_s, began_s = at.processor_s, time.monotonic()
            _write(at.port, f"/write?way={way}&rounds={rounds}")
            at.until_delivered(count * rounds)
            seconds, used_s = time.monotonic() - began_s, at.processor_s - used_s
            delivered = at.crowd.ask(Crowd.count)
            found[way] = Raw(delivered / used_s, delivered / seconds)
    return found


def _write(port: int, path: str) -> None:
    with closing(HTTPConnection("127.0.0.1", port, timeout=RAW_S)) as connection:
        connection.request("POST", path)
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"answered {response.status}: {response.read(500)!r}")


def deaf(context: Context, peer: Peer) -> Deaf:
    """The same load twice: with watchers of some of the jobs, then beside watchers of the others that never read."""
    count, deaf = (QUICK_WATCHERS, QUICK_DEAF) if context.quick else (WATCHERS, DEAF)
    share, seconds = (QUICK_SHARE, QUICK_S) if context.quick else (1, DEAF_S)
    load = Load("event", share * DEAF_RATE, seconds)
    with watched(context, peer, count) as at:
        at.open(peer.transport, 0, count - deaf)
        _warm_up(at, load, watched=count - deaf)
        without = at.flow(load, watched=count - deaf)
        before = at.memory.resident_bytes
        at.open(peer.transport, count - deaf, deaf, reads=False)
        left = at.files - deaf
        at.fill(count - deaf, deaf, DEAF_EVENTS, DEAF_BYTES)
        filled_s = time.monotonic()
        beside = at.flow(load, watched=count - deaf)
        growth_bytes = at.memory.peak_bytes - before
        given_up_s = None if context.quick else _until_given_up(at, left, filled_s)
    return Deaf(deaf, without, beside, growth_bytes, given_up_s)


def _until_given_up(at: Watched, left: int, filled_s: float) -> float | None:
    # Who does not read does not hear that the other side has left: its descriptors tell.
    while at.files > left:
        if time.monotonic() - filled_s > GIVEN_UP_S:
            return None
        time.sleep(0.1)
    return time.monotonic() - filled_s
