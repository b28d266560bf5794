"""A whole installation from submission to completion, with stages that do nothing or wait for 10 ms."""

import asyncio
import itertools
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import msgspec
import uvloop

from bench.chains.clients import Driven, Http, drive
from bench.chains.feed import FeedClient
from bench.chains.load import load_scripts
from bench.chains.orders import STAGES
from bench.chains.spent import spent
from bench.context import Context, Durability
from bench.findings import Figure, Finding, Plot, Row, Series, Table
from bench.roles import Installation, until_ready
from bench.server import Server
from bench.systems.process import Running

WHAT = "the media pipeline as processes of their own, with instant and with 10 ms handlers: rate and time to completion"
SLOTS = 8
"""Of each stage."""
HANDLERS_S = (0.0, 0.010)
IN_FLIGHT, QUICK_IN_FLIGHT = (1, 32, 128), (1, 32)
JOBS, ALONE, QUICK_JOBS, QUICK_ALONE = 3000, 150, 96, 10
WARM_UP = 100
Through = Literal["kernel", "HTTP"]


class Way(msgspec.Struct, frozen=True):
    """One way to use the installation."""

    handler_s: float
    through: Through
    in_flight: int

    @property
    def handler(self) -> str:
        return f"{1000 * self.handler_s:g} ms" if self.handler_s else "instant"

    @property
    def ideal(self) -> float | None:
        """Jobs a second if nothing but the handlers took time; None where they take none."""
        if not self.handler_s:
            return None
        return min(self.in_flight / (len(STAGES) * self.handler_s), SLOTS / self.handler_s)

    def jobs(self, *, quick: bool) -> int:
        """How many are measured."""
        if self.in_flight == 1:
            return QUICK_ALONE if quick else ALONE
        return QUICK_JOBS if quick else JOBS


class Sample(msgspec.Struct, frozen=True):
    """One round of one way; processor time of a job."""

    driven: Driven
    gateway_us: float
    stages_us: float
    """All four processes."""
    redis_us: float


Samples = dict[Way, list[Sample]]


def ways(*, quick: bool = False) -> list[Way]:
    """In the order of the report."""
    in_flight = QUICK_IN_FLIGHT if quick else IN_FLIGHT
    through: tuple[Through, ...] = ("kernel", "HTTP")
    return [Way(*each) for each in itertools.product(HANDLERS_S, through, in_flight)]


def run(context: Context) -> Finding:
    """Every round has a fresh installation for each kind of handler, on which all ways take turns."""
    asked = ways(quick=context.quick)
    rounds = 1 if context.quick else (context.rounds + 1) // 2
    found: dict[Durability, Samples] = {}
    for durability in context.durabilities:
        samples: Samples = defaultdict(list)
        for number in range(rounds):
            for handler_s in context.order(HANDLERS_S, number):
                order = context.order([way for way in asked if way.handler_s == handler_s], number)
                for way, sample in zip(order, one_round(context, durability, order), strict=True):
                    samples[way].append(sample)
                    context.say(
                        f"pipeline, {durability}, round {number + 1}: {way.handler} handlers, {way.through},"
                        f" {way.in_flight} in flight: {sample.driven.rate:.0f} jobs/s, p50"
                        f" {sample.driven.percentile_ms(50):.1f} ms"
                    )
        found[durability] = {way: samples[way] for way in asked}
    return finding(found, rounds)


def one_round(context: Context, durability: Durability, order: list[Way]) -> list[Sample]:
    """One installation, all ways on it."""
    with ExitStack() as stack:
        server = stack.enter_context(context.server(durability))
        load_scripts([server])
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reelway-bench-")))
        installation = Installation(server.url, folder)
        gateway, reaper = (stack.enter_context(installation.run(role)) for role in ("gateway", "reaper"))
        stages = [stack.enter_context(_start(installation, stage, order[0].handler_s)) for stage in STAGES]
        for role in (gateway, reaper, *stages):
            until_ready(role)
        return uvloop.run(_measure_all(order, server, installation.url, gateway, stages, quick=context.quick))


def _start(installation: Installation, stage: str, handler_s: float) -> Running:
    return installation.start(stage, [sys.executable, "-m", "bench.chains.stage", stage, f"{handler_s}", f"{SLOTS}"])


async def _measure_all(
    order: list[Way], server: Server, url: str, gateway: Running, stages: list[Running], *, quick: bool
) -> list[Sample]:
    connections = max(way.in_flight for way in order)
    async with FeedClient(server.url) as kernel, Http.session(url, connections) as session:
        http = Http(session)

        async def through_kernel(number: int) -> None:
            del number  # all jobs are equal
            await kernel.complete()

        async def through_http(number: int) -> None:
            del number
            await http.completed(await http.submit())

        async def measure(way: Way) -> Sample:
            jobs = way.jobs(quick=quick)
            before = await asyncio.to_thread(_used_s, server, [gateway], stages)
            driven = await drive(through_kernel if way.through == "kernel" else through_http, way.in_flight, jobs)
            after = await asyncio.to_thread(_used_s, server, [gateway], stages)
            gateway_us, stages_us, redis_us = (
                1e6 * (later - earlier) / jobs for earlier, later in zip(before, after, strict=True)
            )
            return Sample(driven, gateway_us, stages_us, redis_us)

        warm_up = QUICK_JOBS if quick else WARM_UP
        await drive(through_kernel, SLOTS, warm_up)
        await drive(through_http, SLOTS, warm_up)
        return [await measure(way) for way in order]


def _used_s(server: Server, gateway: list[Running], stages: list[Running]) -> tuple[float, float, float]:
    """Processor time so far."""
    processes = (sum(each.processor_s() for each in group) for group in (gateway, stages))
    return (*processes, spent(server).total_s)  # type: ignore[return-value]


def rate_figure(measured: list[Sample]) -> Figure:
    """Completed jobs."""
    return Figure.of("1/s", [each.driven.rate for each in measured])


def table(durability: Durability, samples: Samples) -> Table:
    """Every way, side by side."""
    rows = []
    for way, measured in samples.items():
        ideal = way.ideal
        share = [100 * each.driven.rate / ideal for each in measured] if ideal else []
        figures = (
            rate_figure(measured),
            Figure.of("%", share, "" if ideal else "no bound"),
            Figure.of("ms", [each.driven.percentile_ms(50) for each in measured]),
            Figure.of("ms", [each.driven.percentile_ms(99) for each in measured]),
            Figure.of("µs", [each.gateway_us for each in measured]),
            Figure.of("µs", [each.stages_us for each in measured]),
            Figure.of("µs", [each.redis_us for each in measured]),
        )
        rows.append(Row((way.handler, way.through, f"{way.in_flight}"), figures))
    columns = (
        "completed", "of the ideal", "p50", "p99", "gateway CPU a job", "stages' CPU a job", "Redis CPU a job",
    )  # fmt: skip
    title = f"From submission to completion, {durability.words}"
    return Table(title, ("handlers", "through", "in flight"), columns, tuple(rows))


def plot(durability: Durability, samples: Samples) -> Plot:
    """Bars: completed jobs by what is in flight, a series for each kind."""
    series = []
    for handler, through in dict.fromkeys((way.handler, way.through) for way in samples):
        figures = {
            f"{way.in_flight}": rate_figure(measured)
            for way, measured in samples.items()
            if (way.handler, way.through) == (handler, through)
        }
        spreads = [figure.spread for figure in figures.values()]
        medians = tuple(figure.median for figure in figures.values())
        lows, highs = tuple(low for low, _ in spreads), tuple(high for _, high in spreads)
        series.append(Series(f"{handler} handlers, {through}", tuple(figures), medians, lows, highs))
    title = f"Jobs through the whole pipeline, {durability.words}"
    return Plot(f"pipeline-{durability}", title, "bars", "in flight", "jobs/s", tuple(series))


def says(durability: Durability, samples: Samples) -> str:
    """What follows for one durability."""
    parts = []
    for through in ("kernel", "HTTP"):
        waiting = {way: measured for way, measured in samples.items() if way.handler_s and way.through == through}
        rates = {way: rate_figure(measured).median for way, measured in waiting.items()}
        best = max(rates, key=rates.__getitem__)
        alone = min(waiting, key=lambda way: way.in_flight)
        bare_ms = 1000 * alone.handler_s * len(STAGES)
        p50_ms = Figure.of("", [each.driven.percentile_ms(50) for each in waiting[alone]]).median
        parts.append(
            f"through {'the kernel' if through == 'kernel' else through} {alone.handler} handlers reach"
            f" {rates[best]:.0f} jobs/s, {100 * rates[best] / (best.ideal or rates[best]):.0f} % of what their"
            f" {SLOTS} slots allow; a job alone takes {p50_ms:.1f} ms, {p50_ms - bare_ms:.1f} ms more than its handlers"
        )
    instant = {way: rate_figure(measured).median for way, measured in samples.items() if not way.handler_s}
    best = max(instant, key=instant.__getitem__)
    spent_us = Figure.of("", [each.gateway_us + each.stages_us + each.redis_us for each in samples[best]]).median
    return (
        f"With {durability.words}: {'; '.join(parts)}. With instant handlers the most is {instant[best]:.0f} jobs/s"
        f" ({best.through}, {best.in_flight} in flight); a job then costs gateway, stages and Redis together"
        f" {spent_us:.0f} µs of processor time, {instant[best] * spent_us / 1e6:.2f} cores at that rate, beside this"
        " bench's own client."
    )


def finding(found: dict[Durability, Samples], rounds: int) -> Finding:
    """Puts the samples as a report."""
    return Finding(
        scenario="pipeline",
        title="The whole pipeline",
        how=(
            "An installation as an operator has it: one Redis, `reelway run gateway`, `reelway run reaper` and a"
            f" process for each of {', '.join(STAGES)}, all with default settings, on TCP. The stages run scripted"
            " handlers with the bodies of a real conversion, which return at once or after `asyncio.sleep(0.010)`,"
            f" {SLOTS} at once in each stage; all else is what `reelway run` has around a handler, logs included."
            " So many clients (`in flight`) each hand in a job and wait for its end, then the next one: through *HTTP*"
            " by `POST /v1/jobs` and a `GET` that waits (`Prefer: wait`); through the *kernel* by a Submitter and one"
            " reader of the feed. The time is from before the submission to the answer that says `completed`. All jobs"
            f" are one tenant's, so that of what waits only {SLOTS} of each stage lie in the inbox and the rest is"
            f" held. {JOBS} jobs a round ({ALONE} for one client) after {WARM_UP} each way that do not count, {rounds}"
            f" round{'' if rounds == 1 else 's'} (half of the run's), each on a fresh installation. The ideal is the"
            " smaller of clients over the handlers' time and slots over the time of one handler."
        ),
        tables=tuple(table(durability, samples) for durability, samples in found.items()),
        plots=tuple(plot(durability, samples) for durability, samples in found.items()),
        says="\n\n".join(says(durability, samples) for durability, samples in found.items()),
    )
