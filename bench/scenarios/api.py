"""What a request costs: a hand-in, a read, a read of what is known already; next to what the server alone needs."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import msgspec
import uvloop

from bench.chains.clients import REQUEST, Driven, drive
from bench.chains.load import load_scripts
from bench.chains.spent import spent
from bench.context import Context, Server
from bench.findings import Figure, Finding, Plot, Row, Series, Table
from bench.machine import processor_s
from bench.requests.caller import Caller, request
from bench.roles import KEY, Installation, until_ready
from bench.streams.jobs import make_jobs
from bench.streams.watched import Program, start

WHAT = "processor time, rate and waits of a request: submit, read, 304, next to a constant answer of the server"
IN_FLIGHT = (1, 32)
REQUESTS, ALONE, QUICK_REQUESTS = 6000, 2000, 200
JOBS = 500
"""That are read in turn."""
WARM_UP = 200
Kind = Literal["submit", "read", "unchanged", "constant POST", "constant GET"]
WORDS: dict[Kind, str] = {
    "submit": "`POST /v1/jobs`, a new job",
    "read": "`GET /v1/jobs/{id}`",
    "unchanged": "the same with `If-None-Match`: 304",
    "constant POST": "aiohttp alone, POST",
    "constant GET": "aiohttp alone, GET",
}
KINDS: dict[Program, tuple[Kind, ...]] = {
    "gateway": ("submit", "read", "unchanged"), "raw": ("constant POST", "constant GET"),
}  # fmt: skip
STATUS: dict[Kind, int] = {"submit": 202, "read": 200, "unchanged": 304, "constant POST": 200, "constant GET": 200}


class Sample(msgspec.Struct, frozen=True):
    """One round of one kind with so many in flight. Processor times are milliseconds a request."""

    driven: Driven
    server_ms: float
    redis_ms: float
    client_ms: float


Samples = dict[tuple[Kind, int], list[Sample]]


def run(context: Context) -> Finding:
    samples: Samples = defaultdict(list)
    for number in range(1, (1 if context.quick else context.rounds) + 1):
        for program in context.order(KINDS, number):
            for (kind, in_flight), sample in one_round(context, program, number).items():
                samples[kind, in_flight].append(sample)
                context.say(f"api round {number}: {kind}, {in_flight} in flight: {sample.driven.rate:.0f}/s")
    return finding({(kind, many): samples[kind, many] for kind in WORDS for many in IN_FLIGHT})


def one_round(context: Context, program: Program, number: int) -> dict[tuple[Kind, int], Sample]:
    """A fresh server and a fresh process, and all kinds of requests one after the other."""
    with ExitStack() as stack:
        server = stack.enter_context(context.server(context.durabilities[0]))
        load_scripts([server])
        jobs = make_jobs(server.url, JOBS)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reelway-bench-")))
        installation = Installation(server.url, folder)
        serving = stack.enter_context(start(program, installation, server.url))
        until_ready(serving)
        return uvloop.run(
            _measure(context, context.order(KINDS[program], number), server, serving.pid, installation.port, jobs)
        )


async def _measure(
    context: Context, kinds: Sequence[Kind], server: Server, pid: int, port: int, jobs: Sequence[str]
) -> dict[tuple[Kind, int], Sample]:
    callers = [await Caller.connect(port) for _ in range(max(IN_FLIGHT))]
    found = {}
    for kind in kinds:
        requests = await _requests(kind, jobs, callers[0])
        for in_flight in IN_FLIGHT:
            count = QUICK_REQUESTS if context.quick else ALONE if in_flight == 1 else REQUESTS
            send = _sender(requests, STATUS[kind], callers[:in_flight])
            await drive(send, in_flight, min(WARM_UP, count))
            serving_s, redis, client_s = processor_s(pid), spent(server), time.process_time()
            driven = await drive(send, in_flight, count)
            each = 1000 / count
            client_ms = each * (time.process_time() - client_s)
            redis_ms = each * spent(server).since(redis).total_s
            found[kind, in_flight] = Sample(driven, each * (processor_s(pid) - serving_s), redis_ms, client_ms)
    for caller in callers:
        caller.close()
    return found


def _sender(requests: Sequence[bytes], status: int, free: list[Caller]) -> Callable[[int], Awaitable[None]]:
    """Sends the requests in turn, each on a connection that is free."""

    async def send(number: int) -> None:
        caller = free.pop()
        answer = await caller.call(requests[number % len(requests)])
        free.append(caller)
        if answer.status != status:
            raise RuntimeError(f"answered {answer.status} and not {status}: {answer.body[:500]!r}")

    return send


async def _requests(kind: Kind, jobs: Sequence[str], caller: Caller) -> list[bytes]:
    """What is sent in turn."""
    if kind == "submit":
        return [request("POST", "/v1/jobs", KEY, body=REQUEST)]
    if kind == "constant POST":
        return [request("POST", "/constant", KEY, body=REQUEST)]
    if kind == "constant GET":
        return [request("GET", "/constant", KEY)]
    reads = [request("GET", f"/v1/jobs/{job}", KEY) for job in jobs]
    if kind == "read":
        return reads
    tags = [(await caller.call(each)).tag.decode() for each in reads]
    return [
        request("GET", f"/v1/jobs/{job}", KEY, f"If-None-Match: {tag}") for job, tag in zip(jobs, tags, strict=True)
    ]


def _figure(unit: str, samples: Sequence[Sample], read: Callable[[Sample], float]) -> Figure:
    return Figure.of(unit, (read(each) for each in samples))


def table(samples: Mapping[tuple[Kind, int], Sequence[Sample]]) -> Table:
    """Every kind, alone and with others."""
    rows = []
    for (kind, in_flight), measured in samples.items():
        figures = (
            _figure("1/s", measured, lambda each: each.driven.rate),
            _figure("ms", measured, lambda each: each.driven.percentile_ms(50)),
            _figure("ms", measured, lambda each: each.driven.percentile_ms(99)),
            _figure("ms", measured, lambda each: each.server_ms),
            _figure("ms", measured, lambda each: each.redis_ms),
            _figure("ms", measured, lambda each: each.client_ms),
        )
        rows.append(Row((WORDS[kind], f"{in_flight}"), figures))
    columns = ("answered", "p50", "p99", "CPU of the server a request", "of Redis", "of the clients")
    return Table("Requests", ("what", "in flight"), columns, tuple(rows))


def plot(samples: Mapping[tuple[Kind, int], Sequence[Sample]]) -> Plot:
    """Processor time of the server and of Redis by kind, with many in flight."""
    most = max(IN_FLIGHT)
    series = []
    reads: dict[str, Callable[[Sample], float]] = {
        "server": lambda each: each.server_ms,
        "Redis": lambda each: each.redis_ms,
    }
    for name, read in reads.items():
        figures = [_figure("ms", samples[kind, most], read) for kind in WORDS]
        lows, highs = zip(*(figure.spread for figure in figures), strict=True)
        series.append(Series(name, tuple(WORDS), tuple(figure.median for figure in figures), lows, highs))
    return Plot("api-cost", f"Processor time of a request, {most} in flight", "bars", "", "ms", tuple(series))


def says(samples: Mapping[tuple[Kind, int], Sequence[Sample]]) -> str:
    """What follows."""
    most = max(IN_FLIGHT)

    def server_ms(kind: Kind) -> float:
        return _figure("ms", samples[kind, most], lambda each: each.server_ms).median

    def more(kind: Kind, alone: Kind) -> str:
        return f"{server_ms(kind):.2f} ms, {server_ms(kind) / server_ms(alone):.1f} times aiohttp's own"

    return (
        f"With {most} in flight a submit costs the gateway {more('submit', 'constant POST')} for a request of that"
        f" size, a read {more('read', 'constant GET')}, and a 304 {server_ms('unchanged'):.2f} ms. One process, which"
        f" has one core, answers at most {1000 / server_ms('submit'):,.0f} submits or"
        f" {1000 / server_ms('read'):,.0f} reads a second."
    )


def finding(samples: Mapping[tuple[Kind, int], Sequence[Sample]]) -> Finding:
    """Puts the samples as a report."""
    return Finding(
        scenario="api",
        title="Requests",
        how=(
            "So many connections (`in flight`) that stay open each send one request after the other, as prepared bytes"
            f" from one process: {REQUESTS:,} requests a round, {ALONE:,} for one connection, after {WARM_UP} that do"
            f" not count. A fresh Redis as shipped and a fresh `reelway run gateway` for each round, without workers;"
            f" reads go to {JOBS} jobs in turn. *aiohttp alone* is a handler on the same server and loop that"
            " reads the request and answers a constant JSON document: no key is checked, nothing is logged or counted."
            " Processor times are those of the whole process divided by the requests, so that a submit has the event in"
            " it that the gateway reads in the feed."
        ),
        tables=(table(samples),),
        plots=(plot(samples),),
        says=says(samples),
    )
