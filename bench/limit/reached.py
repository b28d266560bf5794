"""How much of the raw limit the worker reaches, from the rates of the same round. Pure."""

import statistics
from collections.abc import Sequence

import msgspec

from bench.findings import Figure, Plot, Row, Series, Table
from bench.limit.bare import Cost
from bench.limit.commands import Account
from bench.systems.comparison import bound_of
from bench.systems.measure import Measured

WAYS = ("one worker process", "bare client, same batches", "prepared requests")


class Round(msgspec.Struct, frozen=True):
    """One round: the same jobs in three ways, each on a fresh server."""

    worker: Measured
    take: float
    """Jobs that a call of `take` granted, if it granted any."""
    commit: float
    account: Account
    bare: Cost
    prepared: Cost

    @property
    def rates(self) -> tuple[float, float, float]:
        """In the order of WAYS."""
        jobs = self.worker.jobs
        return self.worker.rate, jobs / self.bare.wall_s, jobs / self.prepared.wall_s

    @property
    def client_us(self) -> tuple[float, float, float]:
        """Processor time of the calling side a job."""
        jobs = self.worker.jobs
        return self.worker.worker_us, self.bare.client_s / jobs * 1e6, self.prepared.client_s / jobs * 1e6

    @property
    def redis_us(self) -> tuple[float, float, float]:
        """Processor time of Redis a job."""
        jobs = self.worker.jobs
        return self.worker.redis_us, self.bare.redis_s / jobs * 1e6, self.prepared.redis_s / jobs * 1e6

    @property
    def share_percent(self) -> float:
        """Of the raw limit that the worker reaches."""
        return 100 * self.rates[0] / self.rates[2]


def table(title: str, jobs: str, rounds: Sequence[Round]) -> Table:
    """One row for each of WAYS. `jobs`: what is counted, such as "chains"."""
    rows = []
    for way, name in enumerate(WAYS):
        rates = [each.rates[way] for each in rounds]
        client_us = [each.client_us[way] for each in rounds]
        redis_us = [each.redis_us[way] for each in rounds]
        rows.append(
            Row(
                (name,),
                (
                    Figure(f"{jobs}/s", tuple(rates)),
                    Figure("%", tuple(100 * each.rates[way] / each.rates[2] for each in rounds)),
                    Figure("µs", tuple(client_us)),
                    Figure("µs", tuple(redis_us)),
                    Figure("%", tuple(us * rate / 10_000 for us, rate in zip(client_us, rates, strict=True))),
                    Figure("%", tuple(us * rate / 10_000 for us, rate in zip(redis_us, rates, strict=True))),
                ),
            )
        )
    one = jobs.removesuffix("s")
    columns = ("rate", "share of the limit", f"client CPU a {one}", f"Redis CPU a {one}", "client busy", "Redis busy")
    return Table(title, ("way",), columns, tuple(rows))


def plot(name: str, title: str, jobs: str, rounds: Sequence[Round]) -> Plot:
    """The three rates."""
    by_way = [[each.rates[way] for each in rounds] for way in range(len(WAYS))]
    series = Series("", WAYS, tuple(map(statistics.median, by_way)), tuple(map(min, by_way)), tuple(map(max, by_way)))
    return Plot(name, title, "bars", "", f"{jobs}/s", (series,))


def in_words(jobs: str, rounds: Sequence[Round]) -> str:
    """The share and what keeps it from being larger."""
    share = statistics.median(each.share_percent for each in rounds)
    rate, limit = (statistics.median(each.rates[way] for each in rounds) for way in (0, 2))
    worker = statistics.median(each.worker.worker_busy_percent for each in rounds)
    redis = statistics.median(each.worker.redis_busy_percent for each in rounds)
    own, least = (statistics.median(each.redis_us[way] for each in rounds) for way in (0, 2))
    take, commit = (statistics.median(values) for values in zip(*((e.take, e.commit) for e in rounds), strict=True))
    one = jobs.removesuffix("s")
    called, executed = (
        statistics.median(values)
        for values in zip(*((each.account.scripts, each.account.executed) for each in rounds), strict=True)
    )
    return (
        f"The worker runs {rate:,.0f} {jobs}/s, {share:.0f} % of the {limit:,.0f} {jobs}/s that Redis does when the"
        f" same calls (on average {take:.0f} jobs a take, {commit:.0f} a commit) come as prepared bytes. Meanwhile"
        f" {bound_of(worker, redis)}. Redis spends {own:.0f} µs a {one}, in {called:.2f} script calls that execute"
        f" {executed:.0f} commands; with prepared bytes {least:.0f} µs, so one core of Redis is worth at most"
        f" {1e6 / least:,.0f} {jobs}/s."
    )
