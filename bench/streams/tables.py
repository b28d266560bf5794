"""Samples of the scenario `streams` as tables, pictures and checks. Pure."""

import os
import statistics
from collections.abc import Callable, Mapping, Sequence

import msgspec

from bench.findings import Check, Figure, Plot, Row, Series, Table
from bench.streams.feeder import Kind
from bench.streams.flow import Flow, Waits
from bench.streams.measures import Deaf, Idle, Raw

IDLE_BYTES = 16 * 1024
PER_PROCESSOR_S = 50_000.0
P99_MS = 50.0
LAG_MS = 100.0
KEPT_SHARE = 0.99
"""Of a rate, that counts as reached."""
DEAF_BYTES = 256 * 1024
"""Of each that never reads: the hard bound of a connection."""
SAME_P50, SAME_P99 = 1.25, 1.5
"""How much longer still is unchanged, between two runs on a machine with other work."""
KINDS: dict[Kind, str] = {"event": "events", "pulse": "progress", "own": "events"}


class Carried(msgspec.Struct, frozen=True):
    """One kind of news, served in one way, at one load, in every round."""

    peer: str
    kind: Kind
    rate: float
    """Asked for."""
    flows: list[Flow]

    @property
    def name(self) -> str:
        return f"{self.peer}, {KINDS[self.kind]}"

    @property
    def ours(self) -> bool:
        return self.kind != "own"

    @property
    def per_processor_s(self) -> Figure:
        return Figure.of("1/s", (each.per_processor_s for each in self.flows))

    def waits(self, read: Callable[[Waits], float]) -> Figure:
        """Of the rounds in which anything was delivered."""
        return Figure.of("ms", (read(each.waits) for each in self.flows if each.waits), self._note())

    def busy(self, read: Callable[[Flow], float]) -> Figure:
        """Of one core."""
        return Figure.of("%", (each.percent(read(each)) for each in self.flows))

    def _note(self) -> str:
        broken = sum(not each.whole for each in self.flows)
        return f"{broken} of {len(self.flows)} rounds not whole" if broken else ""


def idle_table(found: Mapping[str, Sequence[Idle]]) -> Table:
    """Memory and processor time of those that wait."""
    rows = [
        Row(
            (peer, f"{samples[0].watchers:,}"),
            (
                Figure.of("KiB", (each.resident_bytes / 1024 for each in samples)),
                Figure.of("µs", (each.processor_us for each in samples)),
            ),
        )
        for peer, samples in found.items()
    ]
    columns = ("memory of each", "processor time of each, a second")
    return Table("Watchers to which nothing happens", ("served by", "watchers"), columns, tuple(rows))


def carried_table(carried: Sequence[Carried]) -> Table:
    """Every way at every load."""
    rows = []
    for each in carried:
        figures = (
            Figure.of("1/s", (flow.per_s for flow in each.flows)),
            each.per_processor_s,
            each.waits(lambda waits: waits.p50_ms),
            each.waits(lambda waits: waits.p99_ms),
            each.waits(lambda waits: waits.lag_ms),
            each.busy(lambda flow: flow.busy.serving_s),
            each.busy(lambda flow: flow.busy.redis_s),
            each.busy(lambda flow: flow.busy.watchers_s),
            each.busy(lambda flow: flow.busy.feeder_s),
        )
        rows.append(Row((each.peer, KINDS[each.kind], f"{each.rate:,.0f}/s"), figures))
    columns = (
        "delivered", "for a second of its CPU", "p50", "p99", "at the end", "busy", "Redis busy", "watchers busy",
        "writer busy",
    )  # fmt: skip
    return Table("From Redis to the sockets", ("served by", "what", "asked"), columns, tuple(rows))


def raw_table(found: Mapping[str, Sequence[Raw]]) -> Table:
    """What the server itself can do."""
    rows = [
        Row(
            (f"`{way}.write`",),
            (
                Figure.of("1/s", (each.per_s for each in samples)),
                Figure.of("1/s", (each.per_processor_s for each in samples)),
            ),
        )
        for way, samples in found.items()
    ]
    return Table("Writes without Redis", ("written by",), ("delivered", "for a second of its CPU"), tuple(rows))


def deaf_table(found: Mapping[str, Sequence[Deaf]]) -> Table:
    """The others with and without those that never read."""
    rows = []
    for peer, samples in found.items():
        for words, flows in (
            ("alone", [each.without for each in samples]),
            (f"beside {samples[0].watchers} that never read", [each.beside for each in samples]),
        ):
            carried = Carried(peer, "event", flows[0].load.rate, flows)
            beside = words != "alone"
            given_up = [each.given_up_s for each in samples if each.given_up_s is not None]
            figures = (
                Figure.of("1/s", (flow.per_s for flow in flows)),
                carried.waits(lambda waits: waits.p50_ms),
                carried.waits(lambda waits: waits.p99_ms),
                Figure.of("MiB", (each.growth_bytes / 2**20 for each in samples) if beside else ()),
                Figure.of("s", given_up if beside else ()),
            )
            rows.append(Row((peer, words), figures))
    columns = ("delivered", "p50", "p99", "memory they cost", "given up after")
    return Table("Watchers that never read", ("served by", "the others"), columns, tuple(rows))


def efficiency_plot(carried: Sequence[Carried], raw: Mapping[str, Sequence[Raw]], rate: float) -> Plot:
    """Deliveries that a second of processor time is worth."""
    bars = {each.name: each.per_processor_s for each in carried if each.rate == rate}
    bars |= {
        f"{way}.write, no Redis": Figure.of("1/s", (each.per_processor_s for each in samples))
        for way, samples in raw.items()
    }
    lows, highs = zip(*(each.spread for each in bars.values()), strict=True)
    series = Series("", tuple(bars), tuple(each.median for each in bars.values()), lows, highs)
    title = "Deliveries for a second of processor time of the process that serves"
    return Plot("streams-efficiency", title, "bars", "", "deliveries", (series,), limit=PER_PROCESSOR_S)


def waits_plot(carried: Sequence[Carried], rate: float) -> Plot:
    """Percentiles at the calm load, the median of the rounds at each percent."""
    series = []
    for each in carried:
        curves = [flow.waits.curve for flow in each.flows if flow.waits and each.rate == rate]
        if curves:
            percents = min((percents for percents, _ in curves), key=len)
            rounds = zip(*(values[: len(percents)] for _, values in curves), strict=True)
            series.append(Series(each.name, percents, tuple(map(statistics.median, rounds))))
    title = f"From the write in Redis to the client's socket, {rate:,.0f} deliveries a second"
    return Plot("streams-waits", title, "percentiles", "percent", "ms", tuple(series), log_y=True, limit=P99_MS)


def idle_checks(found: Mapping[str, Sequence[Idle]]) -> list[Check]:
    """Whether those that wait are small."""
    checks = []
    for peer, samples in found.items():
        median = statistics.median(each.resident_bytes for each in samples)
        what = f"memory of an idle watcher, {peer}, {samples[0].watchers:,} at once"
        checks.append(Check(what, f"≤ {IDLE_BYTES / 1024:g} KiB", f"{median / 1024:.1f} KiB", median <= IDLE_BYTES))
    return checks


def carried_checks(carried: Sequence[Carried], calm: float, steady: float) -> list[Check]:
    """What is promised of our own."""
    checks = []
    for each in carried:
        if each.ours and each.rate == steady:
            checks += [_efficient(each), _sustained(each)]
        elif each.ours and each.rate == calm:
            checks.append(_prompt(each))
    return checks


def _efficient(each: Carried) -> Check:
    median = each.per_processor_s.median
    what = f"deliveries for a second of the gateway's CPU, {each.name}, at {each.rate:,.0f}/s"
    return Check(what, f"≥ {PER_PROCESSOR_S:,.0f}", f"{median:,.0f}", median >= PER_PROCESSOR_S)


def _sustained(each: Carried) -> Check:
    reached = min(flow.per_s for flow in each.flows)
    lags_ms = [flow.waits.lag_ms for flow in each.flows if flow.waits]
    whole = all(flow.whole for flow in each.flows)
    found = f"at least {reached:,.0f}/s, {max(lags_ms, default=0):.0f} ms at the end" if whole else "some were lost"
    return Check(
        f"{each.name}: {each.rate:,.0f}/s without a lag that grows, in every round",
        f"≥ {KEPT_SHARE * each.rate:,.0f}/s, at the end ≤ {LAG_MS:g} ms",
        found,
        whole and reached >= KEPT_SHARE * each.rate and max(lags_ms, default=LAG_MS + 1) <= LAG_MS,
    )


def _prompt(each: Carried) -> Check:
    p99_ms = each.waits(lambda waits: waits.p99_ms)
    what = f"{each.name}: p99 from the write in Redis to the socket, at {each.rate:,.0f}/s"
    if not p99_ms.values:
        return Check(what, f"≤ {P99_MS:g} ms", "nothing was delivered", met=False)
    return Check(what, f"≤ {P99_MS:g} ms", f"{p99_ms.median:.1f} ms", p99_ms.median <= P99_MS)


def deaf_checks(found: Mapping[str, Sequence[Deaf]]) -> list[Check]:
    """Whether those that never read stay small and harm nobody."""
    checks = []
    for peer, samples in found.items():
        each = max(sample.growth_bytes / sample.watchers for sample in samples)
        who = f"{samples[0].watchers} watchers that never read, {peer}"
        wanted = f"≤ {DEAF_BYTES / 1024:g} KiB"
        checks.append(Check(f"{who}: memory of each at most", wanted, f"{each / 1024:.0f} KiB", each <= DEAF_BYTES))
        pairs = [(sample.without.waits, sample.beside.waits) for sample in samples]
        whole = all(sample.without.whole and sample.beside.whole for sample in samples)
        p50 = statistics.median(beside.p50_ms / without.p50_ms for without, beside in pairs if without and beside)
        p99 = statistics.median(beside.p99_ms / without.p99_ms for without, beside in pairs if without and beside)
        checks.append(
            Check(
                f"{who}: waits of the others, against without them",
                f"p50 ≤ {SAME_P50:g} ×, p99 ≤ {SAME_P99:g} ×, all delivered",
                f"p50 {p50:.2f} ×, p99 {p99:.2f} ×" + ("" if whole else ", some were lost"),
                whole and p50 <= SAME_P50 and p99 <= SAME_P99,
            )
        )
    return checks


def starved(carried: Sequence[Carried]) -> str:
    """Which loads left the machine nothing."""
    cores = os.cpu_count() or 1
    said = []
    for each in carried:
        used = statistics.median(flow.percent(flow.busy.total_s) for flow in each.flows)
        reached = statistics.median(flow.per_s for flow in each.flows)
        if reached < KEPT_SHARE * each.rate:
            said.append(f"{each.name} at {each.rate:,.0f}/s ({used:.0f} % of {100 * cores} %)")
    most = max(carried, key=lambda each: statistics.median(flow.percent(flow.busy.total_s) for flow in each.flows))
    used = statistics.median(flow.percent(flow.busy.total_s) for flow in most.flows)
    words = (
        f"The four processes together used at most {used:.0f} % of the {100 * cores} % that {cores} cores are"
        f" ({most.name}, {most.rate:,.0f}/s)."
    )
    if said:
        words += f" Less than what was asked for came through with {'; '.join(said)}."
    return words
