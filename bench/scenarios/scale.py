"""How much more work more processes do, and what of it Redis's one thread could carry."""

import asyncio
import itertools
from collections import defaultdict
from contextlib import ExitStack

import msgspec

from actors.kernel import Partitions
from bench.chains.fleet import Fleet
from bench.chains.load import fill, load_scripts, tenants_in
from bench.chains.orders import CONCURRENCY, STAGES, Orders
from bench.chains.spent import Spent, busy_percent, read_cores, spent
from bench.context import Context, Durability
from bench.findings import Figure, Finding, Plot, Row, Series, Table
from bench.machine import Watch
from bench.server import Server

WHAT = "4-stage chains with 1, 2, 4 worker processes, 1 and 4 partitions, on 1 and on 3 Redis nodes"
WORKERS, PARTITIONS, NODES = (1, 2, 4), (1, 4), (1, 3)
CHAINS, QUICK_CHAINS = 6000, 400
TENANTS = 80
"""So many that no tenant has more waiting than may lie in an inbox: nothing is held."""
TRANSITIONS = 2 * len(STAGES)
"""Of one chain: a take and a commit at each stage."""


class Setup(msgspec.Struct, frozen=True):
    """One installation."""

    nodes: int
    partitions: int
    workers: int

    @property
    def labels(self) -> tuple[str, ...]:
        return f"{self.nodes}", f"{self.partitions}", f"{self.workers}"


class Sample(msgspec.Struct, frozen=True):
    """One round of one installation."""

    chains: int
    seconds: float
    worker_s: float
    """Processor time of all workers."""
    redis: tuple[Spent, ...]
    """Of each node."""
    cores: dict[int, float]
    """How busy each core was, in percent."""
    batch: float
    steal_percent: float

    @property
    def rate(self) -> float:
        return self.chains / self.seconds

    @property
    def worker_us(self) -> float:
        return 1e6 * self.worker_s / self.chains

    @property
    def redis_us(self) -> float:
        """Of all nodes, a chain."""
        return 1e6 * sum(each.total_s for each in self.redis) / self.chains

    @property
    def main_us(self) -> float:
        """Of the threads that carry out commands, all nodes, a chain."""
        return 1e6 * sum(each.main_s for each in self.redis) / self.chains

    @property
    def carries(self) -> float:
        """Chains a second that one Redis thread could carry that did nothing else and never waited."""
        return 1e6 / self.main_us

    def share(self, node: int) -> float:
        """Percent of the window in which a node's thread was busy."""
        return 100 * self.redis[node].main_s / self.seconds


Samples = dict[Setup, list[Sample]]


def setups(*, quick: bool = False) -> list[Setup]:
    """Every combination; with `quick` the smallest and the largest."""
    found = [Setup(*each) for each in itertools.product(NODES, PARTITIONS, WORKERS)]
    return [found[0], found[-1]] if quick else found


def rounds_of(context: Context) -> int:
    """Half of the rounds, rounded up: each of them measures twelve installations."""
    return 1 if context.quick else (context.rounds + 1) // 2


def run(context: Context) -> Finding:
    """Measures every installation in every round, each on servers of its own."""
    chains = QUICK_CHAINS if context.quick else CHAINS
    asked, rounds = setups(quick=context.quick), rounds_of(context)
    found: dict[Durability, Samples] = {}
    for durability in context.durabilities:
        one_round(context, durability, asked[0], QUICK_CHAINS)
        samples: Samples = defaultdict(list)
        for number in range(rounds):
            for setup in context.order(asked, number):
                sample = one_round(context, durability, setup, chains)
                samples[setup].append(sample)
                context.say(
                    f"scale, {durability}, round {number + 1}: {setup.workers} workers, {setup.partitions} partitions,"
                    f" {setup.nodes} nodes: {sample.rate:.0f} chains/s, Redis {sample.redis_us:.0f} µs a chain"
                )
        found[durability] = {setup: samples[setup] for setup in asked}
    return finding(found, chains, rounds)


def one_round(context: Context, durability: Durability, setup: Setup, chains: int) -> Sample:
    """All chains wait when the workers begin; measured until the last one has ended."""
    partitions = Partitions(setup.partitions)
    tenants = tenants_in(partitions, TENANTS // setup.partitions)
    with ExitStack() as stack:
        servers: list[Server]
        if setup.nodes == 1:
            server = stack.enter_context(context.server(durability))
            servers, url = [server], server.url
        else:
            cluster = stack.enter_context(context.cluster(durability))
            servers, url = cluster.servers, cluster.url
        load_scripts(servers)
        asyncio.run(fill(url, partitions, tenants, chains, CONCURRENCY))
        fleet = stack.enter_context(Fleet(Orders(redis=url, report="", partitions=setup.partitions), setup.workers))
        before, cores = [spent(each) for each in servers], read_cores()
        with Watch() as watch:
            fleet.begin()
            total = fleet.until(chains)
        redis = tuple(spent(each).since(earlier) for each, earlier in zip(servers, before, strict=True))
        busy = busy_percent(cores, read_cores())
        return Sample(
            total.chains, total.seconds, total.processor_ns / 1e9, redis, busy, total.batch, watch.steal_percent
        )


def rate_table(durability: Durability, samples: Samples) -> Table:
    """What each installation does and costs."""
    rows = tuple(
        Row(
            setup.labels,
            (
                Figure.of("chains/s", [each.rate for each in measured]),
                Figure.of("µs", [each.worker_us for each in measured]),
                Figure.of("µs", [each.redis_us for each in measured]),
                Figure.of("µs", [each.redis_us / TRANSITIONS for each in measured]),
                Figure.of("jobs", [each.batch for each in measured]),
            ),
        )
        for setup, measured in samples.items()
    )
    columns = ("rate", "worker CPU a chain", "Redis CPU a chain", "Redis CPU a transition", "jobs in a take")
    return Table(f"Chains, {durability.words}", ("nodes", "partitions", "workers"), columns, rows)


def load_table(durability: Durability, samples: Samples) -> Table:
    """Where the processor time went: nodes and cores."""
    nodes = max(setup.nodes for setup in samples)
    cores = sorted({core for measured in samples.values() for each in measured for core in each.cores})
    rows = []
    for setup, measured in samples.items():
        figures = [
            Figure.of("%", [each.share(node) for each in measured])
            if node < setup.nodes
            else Figure.of("%", [], "no such node")
            for node in range(nodes)
        ]
        figures += [Figure.of("%", [each.cores[core] for each in measured if core in each.cores]) for core in cores]
        figures.append(Figure.of("%", [each.steal_percent for each in measured]))
        rows.append(Row(setup.labels, tuple(figures)))
    columns = (
        *(f"thread of node {node + 1}" for node in range(nodes)),
        *(f"core {core}" for core in cores),
        "taken by the host",
    )
    title = f"How busy Redis's threads and the cores were, {durability.words}"
    return Table(title, ("nodes", "partitions", "workers"), columns, tuple(rows))


def carrying_table(found: dict[Durability, Samples]) -> Table:
    """What the processor time of Redis allows, whatever this machine's cores did."""
    rows = tuple(
        Row(
            (durability.words, *setup.labels),
            (
                Figure.of("µs", [each.main_us / TRANSITIONS for each in measured]),
                Figure.of("chains/s", [each.carries for each in measured]),
                Figure.of("1/s", [each.carries * TRANSITIONS for each in measured]),
            ),
        )
        for durability, samples in found.items()
        for setup, measured in samples.items()
    )
    columns = ("thread a transition", "chains one thread carries", "transitions one thread carries")
    title = "What one Redis thread with a core of its own could carry"
    return Table(title, ("durability", "nodes", "partitions", "workers"), columns, rows)


def plot(durability: Durability, samples: Samples) -> Plot:
    """Bars: rate by workers, a group for each number of nodes and partitions."""
    series = []
    for nodes, partitions in dict.fromkeys((setup.nodes, setup.partitions) for setup in samples):
        figures = {
            setup.workers: Figure.of("chains/s", [each.rate for each in measured])
            for setup, measured in samples.items()
            if (setup.nodes, setup.partitions) == (nodes, partitions)
        }
        spreads = [figure.spread for figure in figures.values()]
        series.append(
            Series(
                f"{_count(nodes, 'node')}, {_count(partitions, 'partition')}",
                tuple(_count(workers, "worker") for workers in figures),
                tuple(figure.median for figure in figures.values()),
                tuple(low for low, _ in spreads),
                tuple(high for _, high in spreads),
            )
        )
    title = f"4-stage chains by worker processes, {durability.words}"
    return Plot(f"scale-{durability}", title, "bars", "worker processes", "chains/s", tuple(series))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def says(durability: Durability, samples: Samples) -> str:
    """What follows for one durability."""
    rates = {setup: Figure.of("", [each.rate for each in measured]).median for setup, measured in samples.items()}
    smallest, best = next(iter(samples)), max(rates, key=rates.__getitem__)
    main_us = Figure.of("", [each.main_us for each in samples[smallest]]).median
    text = (
        f"With {durability.words}: one worker process on one node and one partition does {rates[smallest]:.0f}"
        f" chains/s. The best installation ({_count(best.workers, 'worker')}, {_count(best.partitions, 'partition')},"
        f" {_count(best.nodes, 'node')}) does {rates[best]:.0f}, {rates[best] / rates[smallest]:.2f} times as many."
        f" A chain costs Redis's thread {main_us:.0f} µs, so one such thread with a core of its own could carry"
        f" {1e6 / main_us:.0f} chains/s, or {1e6 / main_us * TRANSITIONS:.0f} transitions/s."
    )
    spread = [setup for setup in samples if setup.nodes > 1 and setup.partitions > 1]
    return text + _says_of_nodes(samples, rates, max(spread, key=rates.__getitem__)) if spread else text


def _says_of_nodes(samples: Samples, rates: dict[Setup, float], spread: Setup) -> str:
    """`spread`: the best of the installations whose partitions lie on several nodes."""
    one, many = (max((rates[s] for s in samples if s.nodes == nodes), default=0.0) for nodes in (1, spread.nodes))
    shares = [Figure.of("", [each.share(node) for each in samples[spread]]).median for node in range(spread.nodes)]
    busiest_us = max(
        Figure.of("", [1e6 * each.redis[node].main_s / each.chains for each in samples[spread]]).median
        for node in range(spread.nodes)
    )
    cores, wanted = len(samples[spread][0].cores), spread.nodes + spread.workers
    text = f" {spread.nodes} nodes reach {many / one:.2f} of the best rate of one node."
    if cores < wanted:
        text += (
            " **That is no measurement of how a cluster scales**: nodes and workers of the best such installation want"
            f" {wanted} cores and share {_count(cores, 'core')}, so no node has one of its own."
        )
    return text + (
        f" The busiest node's thread was busy {max(shares):.0f} % of the time and spent {busiest_us:.0f} µs a chain."
        f" With a core for each node and workers enough it would be the bound, at {1e6 / busiest_us:.0f} chains/s with"
        " the partitions spread as here; that is computed, not measured."
    )


def finding(found: dict[Durability, Samples], chains: int, rounds: int) -> Finding:
    """Puts the samples as a report."""
    tables = [table(each, samples) for each, samples in found.items() for table in (rate_table, load_table)]
    return Finding(
        scenario="scale",
        title="More processes, more partitions, more nodes",
        how=(
            f"{chains} chains of {len(STAGES)} stages wait when the workers begin together; measured from that moment"
            f" until the last chain has ended, in {_count(rounds, 'round')} (half of the run's), the order of the"
            " installations another in each round, each on fresh servers over TCP, after one small run that does not"
            " count. Every worker process runs the actors of all four stages with"
            f" {CONCURRENCY} slots each; the handlers do nothing. The jobs are those of {TENANTS} tenants, spread"
            " evenly over the partitions, so that none waits in a hold. Three nodes are a Redis Cluster of three"
            " primaries without replicas: with one partition only one of them has work, with four the hash of the"
            " partition's name decides.\n\n"
            "Processor time of the workers is their own from the first moment to the last end; that of Redis is INFO"
            " cpu, `thread` is its main thread alone. The cores are those of the whole machine, read from /proc/stat,"
            " with all that ran on them."
        ),
        tables=(*tables, carrying_table(found)),
        plots=tuple(plot(durability, samples) for durability, samples in found.items()),
        says="\n\n".join(says(durability, samples) for durability, samples in found.items()),
    )
