"""The records of runs as a section of docs/guarantees.md."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.page import write_section
from tests.faults.checker.figures import Figures
from tests.faults.rolling import Rolled

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
RESULTS = ROOT / "tests" / "faults" / "results"
RUNS, ROLLING = RESULTS / "runs.jsonl", RESULTS / "rolling.jsonl"
START = "<!-- runs: written by python -m tests.faults page -->"
END = "<!-- /runs -->"
HEAD = (
    "| seed | Redis | installation | jobs + children | faults | processes that died | stages started"
    " | started again | resubmitted | frames, resyncs | violations | s |"
)


def write_page() -> None:
    """Shows what is in the results."""
    runs = [msgspec.json.decode(line, type=Figures) for line in RUNS.read_bytes().splitlines()]
    stops = [msgspec.json.decode(line, type=Rolled) for line in ROLLING.read_bytes().splitlines()]
    write_section(PAGE, START, END, markdown(runs, stops))


def markdown(runs: Sequence[Figures], stops: Sequence[Rolled]) -> str:
    """A table of runs, the faults of all of them by name, and the deployments."""
    rows = [HEAD, "|" + "---|" * (HEAD.count("|") - 1), *map(_row, sorted(runs, key=lambda run: run.seed))]
    faults: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for run in runs:
        faults.update(run.faults)
        ends.update(run.ends)
    jobs = sum(run.jobs + run.children for run in runs)
    executions, extra = sum(run.executions for run in runs), sum(run.extra for run in runs)
    summary = (
        f"Together {jobs} jobs and children ({_counted(ends)}) under {faults.total()} faults: {_counted(faults)}."
        f" Of {executions} executions of scripted stages {extra} ({100 * extra / executions:.1f} %) repeated one that"
        " was lost, given back or undone; no stage's result was used twice."
    )
    paragraphs = ["\n".join(rows), summary, "\n".join(f"Deployment under load, {stop.line()}." for stop in stops)]
    return "\n\n".join(paragraphs) + "\n"


def _row(run: Figures) -> str:
    topology = "cluster of 3" if run.topology == "cluster" else "one server"
    cells = (
        run.seed, run.server, f"{topology}, appendfsync {run.fsync}, ffmpeg {run.ffmpeg.replace('_', '-')}",
        f"{run.jobs} + {run.children}", sum(run.faults.values()), run.deaths, run.stages, run.extra, run.resubmitted,
        f"{run.frames}, {run.resyncs}", run.violations, f"{run.seconds:.0f}",
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
