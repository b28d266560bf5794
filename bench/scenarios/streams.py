"""What a watcher of a job costs, and how events get from Redis to thousands of sockets."""

import statistics
from collections import defaultdict
from collections.abc import Callable

from bench.context import Context
from bench.findings import Finding
from bench.streams import tables
from bench.streams.feeder import Kind
from bench.streams.flow import Flow
from bench.streams.measures import (
    CALM,
    CALM_S,
    DEAF,
    DEAF_BYTES,
    DEAF_EVENTS,
    DEAF_RATE,
    DEAF_S,
    IDLE,
    IDLE_S,
    STEADY,
    STEADY_S,
    WATCHERS,
    Deaf,
    Idle,
    Raw,
    deaf,
    flows,
    idle,
    loads,
    raw,
)
from bench.streams.tables import Carried
from bench.streams.transport import Sse, WebSocket
from bench.streams.watched import Peer

WHAT = "live streams: memory of a watcher, deliveries for a second of CPU, waits, readers that never read"
OWN = Sse("/jobs/{job}/events", b"event: open")
OURS = (Peer("Reelway, SSE", Sse()), Peer("Reelway, WebSocket", WebSocket()))
PLAIN = Peer("plain handler", OWN, "plain")
RAW = Peer("no Redis", OWN, "raw")
CENTRIFUGO = "https://centrifugal.dev/blog/2020/02/10/million-connections-with-centrifugo"
HOW = f"""\
One process of `reelway run gateway` with default settings, one Redis as shipped, one process with all clients (plain
sockets and one epoll), and one that writes: a Lua script appends to the log of a job, to the feed and to the job's
hash, or to its progress, byte for byte as the kernel does but without the transition around it. Every event carries the
moment at which its script began; the time ends when its bytes lie at the client's socket. Everything is on the
loopback, without TLS. Processor time is what the kernel counts for a process; that of a write to a socket has the
receiving half of the loopback in it, which over a network the other machine pays for.

Waiting: {IDLE:,} watchers, each of a job of its own, for {IDLE_S:g} s, in which each gets a sign of life; memory is the
growth of the process (RSS), without the kernel's own of each socket. Carrying: {WATCHERS:,} watchers, each of a job of
its own, and jobs in turn, so that every event is one write to another socket; {CALM:,.0f}/s for {CALM_S:g} s and
{STEADY:,.0f}/s for {STEADY_S:g} s. *At the end* is the median wait of the last twentieth. Never reading: {DEAF} of the
{WATCHERS:,} take nothing once their stream is open (with the smallest receive buffer, and segments as on a network);
once {DEAF_EVENTS} events of {DEAF_BYTES} bytes more have been written to each of their jobs, {DEAF_RATE:,.0f} events a
second go to all jobs for {DEAF_S:g} s, as they did before those came.

Beside it, *plain handler*: what one would write by hand, an aiohttp handler on uvloop with a connection to Redis and a
blocking XREAD of the job's own stream for each client, which resumes, bounds and shares nothing. *Writes without
Redis*: frames of the same size to the same clients, by `StreamResponse.write` and past it by `transport.write`. The
rounds are long: there are half as many as asked for."""


class Samples:
    """What all rounds have found."""

    def __init__(self) -> None:
        self.idle: dict[str, list[Idle]] = defaultdict(list)
        self.flows: dict[tuple[str, Kind, float], list[Flow]] = defaultdict(list)
        self.raw: dict[str, list[Raw]] = defaultdict(list)
        self.deaf: dict[str, list[Deaf]] = defaultdict(list)

    def carried(self, context: Context) -> list[Carried]:
        """In the order of the report."""
        keys = [
            (peer.name, kind, load.rate)
            for peer, kinds in peers().items()
            for kind in kinds
            for load in loads(context, kind)
        ]
        return [Carried(*key, self.flows[key]) for key in keys]


def peers() -> dict[Peer, tuple[Kind, ...]]:
    """Who carries what."""
    return {**dict.fromkeys(OURS, ("event", "pulse")), PLAIN: ("own",)}


def run(context: Context) -> Finding:
    samples = Samples()
    count = 1 if context.quick else max(1, (context.rounds + 1) // 2)
    for number in range(1, count + 1):
        for name, measure in context.order(_parts(context, samples), number):
            context.say(f"streams round {number} {name}")
            measure()
    return finding(context, samples)


def _parts(context: Context, samples: Samples) -> list[tuple[str, Callable[[], None]]]:
    """What one round is made of."""

    def waiting(peer: Peer) -> None:
        samples.idle[peer.name].append(idle(context, peer))

    def carrying(peer: Peer, kinds: tuple[Kind, ...]) -> None:
        for kind, found in flows(context, peer, kinds).items():
            for flow in found:
                samples.flows[peer.name, kind, flow.load.rate].append(flow)

    def writing() -> None:
        for way, found in raw(context, RAW).items():
            samples.raw[way].append(found)

    def unread(peer: Peer) -> None:
        samples.deaf[peer.name].append(deaf(context, peer))

    parts: list[tuple[str, Callable[[], None]]] = [("writes without Redis", writing)]
    for peer, kinds in peers().items():
        parts.append((f"carrying, {peer.name}", lambda peer=peer, kinds=kinds: carrying(peer, kinds)))  # type: ignore[misc]
    for peer in OURS:
        parts.append((f"waiting, {peer.name}", lambda peer=peer: waiting(peer)))  # type: ignore[misc]
        parts.append((f"never reading, {peer.name}", lambda peer=peer: unread(peer)))  # type: ignore[misc]
    return parts


def finding(context: Context, samples: Samples) -> Finding:
    """Puts the samples as a report."""
    carried = samples.carried(context)
    calm, steady = (load.rate for load in loads(context, "event"))
    idle_by = {peer.name: samples.idle[peer.name] for peer in OURS}
    deaf_by = {peer.name: samples.deaf[peer.name] for peer in OURS}
    return Finding(
        scenario="streams",
        title="Live streams",
        how=HOW,
        tables=(
            tables.idle_table(idle_by),
            tables.carried_table(carried),
            tables.raw_table(samples.raw),
            tables.deaf_table(deaf_by),
        ),
        plots=(tables.efficiency_plot(carried, samples.raw, steady), tables.waits_plot(carried, calm)),
        checks=(
            *tables.idle_checks(idle_by),
            *tables.carried_checks(carried, calm, steady),
            *tables.deaf_checks(deaf_by),
        ),
        says=says(carried, samples, steady),
    )


def says(carried: list[Carried], samples: Samples, steady: float) -> str:
    """What follows."""
    at = {each.name: each.per_processor_s.median for each in carried if each.rate == steady}
    plain = next(value for name, value in at.items() if name.startswith(PLAIN.name))
    limit = statistics.median(each.per_processor_s for each in samples.raw["transport"])
    ours = "; ".join(
        f"{name}: {value:,.0f} deliveries, {value / plain:.1f} times the plain handler's and"
        f" {100 * value / limit:.0f} % of what bare writes reach"
        for name, value in at.items()
        if not name.startswith(PLAIN.name)
    )
    return (
        f"A second of the gateway's processor time is worth, at {steady:,.0f}/s, {ours}. Centrifugo's authors"
        f" [published]({CENTRIFUGO}) 500 000 deliveries a second, p99 200 ms, on 20 pods that used 40 cores: 12 500"
        " for a second of one core, over a real network, with a million connections that came and went; it is a"
        f" mark and no comparison.\n\n{tables.starved(carried)}"
    )
