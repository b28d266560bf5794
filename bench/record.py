"""What is kept of a run: the finding of each scenario with everything a reader needs to judge it, one file each."""

import datetime
import json
from pathlib import Path
from typing import Any

import msgspec

from bench import scenarios
from bench.context import Context, Durability
from bench.findings import Finding
from bench.machine import Machine, Watch

ROOT = Path(__file__).resolve().parents[1]
LINE = 160
"""Longest line of a file of results, if it can be broken."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario, run once."""

    finding: Finding
    machine: Machine
    date: str
    """Day of the run, UTC."""
    seconds: float | None = None
    """None: not recorded, as the two at the end."""
    rounds: int
    quick: bool
    seed: int
    durabilities: tuple[Durability, ...]
    redis: str
    versions: dict[str, dict[str, str]]
    """By system: what its environment holds."""
    steal_percent: float | None = None
    """Processor time that the host took away during the scenario, of all cores."""
    other_percent: float | None = None
    """Processor time of other programs during the scenario, of one core."""


class Place(msgspec.Struct, frozen=True):
    """Where figures are kept and shown."""

    results: Path
    page: Path
    pictures: Path

    @property
    def link(self) -> str:
        """From the page to its pictures."""
        return self.pictures.relative_to(self.page.parent).as_posix()


CHECKOUT = Place(ROOT / "bench" / "results", ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks")


def inside(folder: Path) -> Place:
    """A place of its own, for a run that is not to change the checkout."""
    return Place(folder / "results", folder / "benchmarks.md", folder / "benchmarks")


def make(
    finding: Finding,
    context: Context,
    machine: Machine,
    watch: Watch,
    redis: str,
    versions: dict[str, dict[str, str]],
) -> Record:
    """The record of a scenario that ended now. Only systems that its tables name are kept."""
    said = msgspec.json.encode(finding).decode()
    return Record(
        finding=finding,
        machine=machine,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        seconds=round(watch.seconds, 1),
        rounds=context.rounds,
        quick=context.quick,
        seed=context.seed,
        durabilities=context.durabilities,
        redis=redis,
        versions={name: each for name, each in versions.items() if name in said},
        steal_percent=watch.steal_percent,
        other_percent=watch.other_percent,
    )


def keep(record: Record, results: Path) -> None:
    """Replaces what was kept of this scenario."""
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{record.finding.scenario}.json"
    path.write_text(pretty(msgspec.to_builtins(record)) + "\n", "utf-8")


def pretty(value: Any, indent: int = 0) -> str:
    """JSON in which whatever fits on a line is on one, so that a changed figure is a changed line."""
    line = json.dumps(value, ensure_ascii=False)
    if indent + len(line) <= LINE or not value or not isinstance(value, (dict, list, tuple)):
        return line
    inner, outer = " " * (indent + 2), " " * indent
    if isinstance(value, dict):
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {pretty(each, indent + 2)}" for key, each in value.items()]
        return "{\n" + ",\n".join(inner + part for part in parts) + f"\n{outer}}}"
    return "[\n" + ",\n".join(inner + pretty(each, indent + 2) for each in value) + f"\n{outer}]"


def kept(results: Path) -> list[Record]:
    """Everything that was kept, in the order of the report. Raises ValidationError for a file of another form."""
    paths = (results / f"{name}.json" for name in scenarios.SCENARIOS)
    return [msgspec.json.decode(path.read_bytes(), type=Record) for path in paths if path.exists()]
