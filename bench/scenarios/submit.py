"""How fast jobs are accepted, and what that costs: through the kernel and through HTTP."""

import asyncio
import itertools
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import msgspec
import uvloop

from actors.kernel import KernelOptions, Partitions, RedisOptions, Submission, Submitter, connect
from bench.bodies import SPEC
from bench.chains.clients import Driven, Http, drive
from bench.chains.load import load_scripts
from bench.chains.spent import spent
from bench.context import Context, Durability
from bench.findings import Figure, Finding, Plot, Row, Series, Table
from bench.roles import Installation, until_ready
from bench.server import Server
from bench.systems.process import Running

WHAT = "submissions a second through the kernel and through HTTP, with and without an idempotency key"
KERNEL_IN_FLIGHT, HTTP_IN_FLIGHT = (1, 32), (1, 32, 128)
REQUESTS, ALONE, QUICK_REQUESTS = 6000, 2000, 150
WARM_UP = 200
Through = Literal["kernel", "HTTP"]


class Way(msgspec.Struct, frozen=True):
    """One way to hand jobs in."""

    through: Through
    in_flight: int
    keyed: bool = False
    """Each request carries an idempotency key of its own."""
    spread: bool = False
    """Each job is another tenant's; else all are one tenant's, and all but the first are held."""

    @property
    def kind(self) -> str:
        return f"{self.through}{', many tenants' if self.spread else ''}{', with keys' if self.keyed else ''}"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.through, "many" if self.spread else "one", "yes" if self.keyed else "no", f"{self.in_flight}"

    def requests(self, *, quick: bool) -> int:
        """How many are measured."""
        return QUICK_REQUESTS if quick else ALONE if self.in_flight == 1 else REQUESTS


class Sample(msgspec.Struct, frozen=True):
    """One round of one way."""

    driven: Driven
    client_us: float
    redis_us: float
    gateway_us: float | None
    """None: there was none. Measured in steps of 10 ms, all requests together."""


Samples = dict[Way, list[Sample]]


def ways(*, quick: bool = False) -> list[Way]:
    """In the order of the report; with `quick` a few."""
    if quick:
        return [Way("kernel", 1), Way("kernel", 32, keyed=True), Way("HTTP", 1), Way("HTTP", 32), Way("HTTP", 32, True)]
    kernel = [Way("kernel", *each) for each in itertools.product(KERNEL_IN_FLIGHT, (False, True))]
    spread = [Way("kernel", in_flight, spread=True) for in_flight in KERNEL_IN_FLIGHT]
    http = [Way("HTTP", *each) for each in itertools.product(HTTP_IN_FLIGHT, (False, True))]
    return [*spread, *kernel, *http]


def run(context: Context) -> Finding:
    """Each way on a server and with a gateway of its own, in turns."""
    found: dict[Durability, Samples] = {}
    asked = ways(quick=context.quick)
    for durability in context.durabilities:
        samples: Samples = defaultdict(list)
        for number in range(1 if context.quick else context.rounds):
            for way in context.order(asked, number):
                sample = one_round(context, durability, way)
                samples[way].append(sample)
                context.say(
                    f"submit, {durability}, round {number + 1}: {way.kind}, {way.in_flight} in flight:"
                    f" {sample.driven.rate:.0f}/s"
                )
        found[durability] = {way: samples[way] for way in asked}
    return finding(found)


def one_round(context: Context, durability: Durability, way: Way) -> Sample:
    """Starts what the way needs, warms it up and measures."""
    requests = way.requests(quick=context.quick)
    with ExitStack() as stack:
        server = stack.enter_context(context.server(durability))
        load_scripts([server])
        if way.through == "kernel":
            return uvloop.run(_through_kernel(way, server, requests))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reelway-bench-")))
        installation = Installation(server.url, folder)
        gateway = stack.enter_context(installation.run("gateway"))
        until_ready(gateway)
        return uvloop.run(_through_http(way, server, installation.url, gateway, requests))


async def _through_kernel(way: Way, server: Server, requests: int) -> Sample:
    client = connect(RedisOptions(url=server.url))
    submitter = Submitter(client, Partitions(1), KernelOptions())

    async def send(number: int) -> None:
        tenant = f"tenant-{number}" if way.spread else "default"
        key = f"key-{number}" if way.keyed else None
        submission = Submission(tenant=tenant, stage="ingest", spec=SPEC, input=b"{}", idempotency_key=key)
        said = await submitter.submit(submission)
        if said.outcome != "ok":
            raise RuntimeError(f"a submission was answered {said.outcome}")

    try:
        return await _measure(way, server, None, requests, send)
    finally:
        await client.aclose()


async def _through_http(way: Way, server: Server, url: str, gateway: Running, requests: int) -> Sample:
    async with Http.session(url, way.in_flight) as session:
        http = Http(session)

        async def send(number: int) -> None:
            await http.submit(f"key-{number}" if way.keyed else None)

        return await _measure(way, server, gateway, requests, send)


async def _measure(
    way: Way, server: Server, gateway: Running | None, requests: int, send: Callable[[int], Awaitable[None]]
) -> Sample:
    warm_up = min(WARM_UP, requests)
    await drive(send, way.in_flight, warm_up)
    gateway_s = await asyncio.to_thread(gateway.processor_s) if gateway else 0.0
    redis, client_s = spent(server), time.process_time()
    driven = await drive(lambda number: send(warm_up + number), way.in_flight, requests)
    client_us = 1e6 * (time.process_time() - client_s) / requests
    redis_us = 1e6 * spent(server).since(redis).total_s / requests
    gateway_us = 1e6 * (gateway.processor_s() - gateway_s) / requests if gateway else None
    return Sample(driven, client_us, redis_us, gateway_us)


def rate_figure(measured: list[Sample]) -> Figure:
    """Accepted jobs."""
    return Figure.of("1/s", [each.driven.rate for each in measured])


def table(durability: Durability, samples: Samples) -> Table:
    """Every way, side by side."""
    rows = []
    for way, measured in samples.items():
        gateway_us = [each.gateway_us for each in measured if each.gateway_us is not None]
        figures = (
            rate_figure(measured),
            Figure.of("ms", [each.driven.percentile_ms(50) for each in measured]),
            Figure.of("ms", [each.driven.percentile_ms(99) for each in measured]),
            Figure.of("µs", gateway_us, "" if gateway_us else "none"),
            Figure.of("µs", [each.redis_us for each in measured]),
            Figure.of("µs", [each.client_us for each in measured]),
        )
        rows.append(Row(way.labels, figures))
    columns = ("accepted", "p50", "p99", "gateway CPU a job", "Redis CPU a job", "client CPU a job")
    return Table(f"Handing jobs in, {durability.words}", ("through", "tenants", "keys", "in flight"), columns,
                 tuple(rows))  # fmt: skip


def plot(durability: Durability, samples: Samples) -> Plot:
    """Bars: accepted jobs by what is in flight, a series for each kind."""
    series = []
    for kind in dict.fromkeys(way.kind for way in samples):
        figures = {f"{way.in_flight}": rate_figure(measured) for way, measured in samples.items() if way.kind == kind}
        spreads = [figure.spread for figure in figures.values()]
        medians = tuple(figure.median for figure in figures.values())
        lows, highs = tuple(low for low, _ in spreads), tuple(high for _, high in spreads)
        series.append(Series(kind, tuple(figures), medians, lows, highs))
    title = f"Accepted jobs a second, {durability.words}"
    return Plot(f"submit-{durability}", title, "bars", "in flight", "jobs/s", tuple(series))


def says(durability: Durability, samples: Samples) -> str:
    """What follows for one durability."""
    rates = {way: rate_figure(measured).median for way, measured in samples.items()}
    parts = []
    for through in ("kernel", "HTTP"):
        best = max((way for way in rates if way.through == through), key=rates.__getitem__)
        alone = rates[Way(through, 1)]
        parts.append(
            f"through {'the kernel' if through == 'kernel' else through} one client that waits for each answer hands in"
            f" {alone:.0f} jobs/s, and {best.in_flight} at once {rates[best]:.0f} ({best.kind})"
        )
    most = max(way.in_flight for way in samples if way.through == "HTTP")
    plain, keyed = Way("HTTP", most), Way("HTTP", most, keyed=True)
    gateway_us = Figure.of("", [each.gateway_us or 0.0 for each in samples[plain]]).median
    redis_us = Figure.of("", [each.redis_us for each in samples[plain]]).median
    more_us = Figure.of("", [each.redis_us for each in samples[keyed]]).median - redis_us
    return (
        f"With {durability.words}: {'; '.join(parts)}. A job through HTTP costs the gateway, which is one thread,"
        f" {gateway_us:.0f} µs and Redis {redis_us:.0f} µs. So a gateway with a core of its own could accept"
        f" {1e6 / gateway_us:.0f} jobs/s, and one Redis {1e6 / redis_us:.0f} from several of them. An idempotency key"
        f" costs Redis {more_us:+.0f} µs."
    )


def finding(found: dict[Durability, Samples]) -> Finding:
    """Puts the samples as a report."""
    return Finding(
        scenario="submit",
        title="Handing jobs in",
        how=(
            "So many clients (`in flight`) each hand in one job after the other, in one process on uvloop that shares"
            f" the machine with Redis and the gateway: {REQUESTS} jobs a round, {ALONE} for one client, after"
            f" {WARM_UP} that do not count. *kernel*: the Submitter, as the gateway uses it, over TCP. *HTTP*: `POST"
            " /v1/jobs` by aiohttp to a process of `reelway run gateway` with default settings, on connections that"
            " stay open; the answer is the job's document. Every round has a fresh Redis and a fresh gateway. No worker"
            " runs, so of one tenant all jobs but the first are held; with *many* tenants each job is another's, and"
            " none is held. A key is a new one for each job. Processor time of Redis is INFO cpu, with all threads;"
            " that of the gateway is measured in steps of 10 ms over the whole round, with its reading of the feed."
        ),
        tables=tuple(table(durability, samples) for durability, samples in found.items()),
        plots=tuple(plot(durability, samples) for durability, samples in found.items()),
        says="\n\n".join(says(durability, samples) for durability, samples in found.items()),
    )
