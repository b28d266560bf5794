"""The verdicts as a table for the terminal, and as a section of a page."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.page import write_section
from tests.faults.mutations.mutation import Mutation
from tests.faults.mutations.verdict import Verdict

START = "<!-- mutations: written by python -m tests.faults.mutations --record -->"
END = "<!-- /mutations -->"
_ROW = re.compile(r"^\| `([\w-]+)` \|", re.MULTILINE)


def line(verdict: Verdict, width: int) -> str:
    """mutation, seconds, guard, caught by."""
    mutation = verdict.mutation
    return f"{mutation.name:{width}}  {verdict.seconds:5.1f} s  {mutation.guard}  <-  {verdict.word}\n"


def row(verdict: Verdict) -> str:
    """One row of the page, with the tests as the mutation names them: which parameter failed first does not matter."""
    mutation = verdict.mutation
    named = [
        test for test in mutation.tests if any(f"{caught}[".startswith(f"{test}[") for caught in verdict.caught_by)
    ]
    tests = ", ".join(map(_shown, named))
    return f"| `{mutation.name}` | {mutation.guard} | `{mutation.file}` | {tests} |"


def _shown(test: str) -> str:
    """The name of the test, and its parameter if it has one."""
    function, _, parameter = test.rstrip("]").partition("[")
    return f"`{function}` ({parameter})" if parameter else f"`{function}`"


def rows_of(page: str) -> dict[str, str]:
    """Name of a mutation to its row."""
    part = page.partition(START)[2].partition(END)[0]
    return {named[1]: text for text in part.splitlines() if (named := _ROW.match(text))}


def section(areas: Mapping[str, Sequence[Mutation]], rows: Mapping[str, str]) -> str:
    """A table for each area; mutations without a row are left out."""
    parts = []
    for area, mutations in areas.items():
        known = [rows[mutation.name] for mutation in mutations if mutation.name in rows]
        if known:
            head = "| mutation | guard that is removed | file | caught by |\n|---|---|---|---|\n"
            parts.append(f"### {area}\n\n{head}" + "\n".join(known) + "\n")
    return "\n".join(parts)


def record(page: Path, areas: Mapping[str, Sequence[Mutation]], verdicts: Sequence[Verdict]) -> None:
    """Writes the rows of what was caught; the rows of other mutations stay, those of mutations that are gone go.

    Raises ValueError where the page has no place for them.
    """
    known = rows_of(page.read_text("utf-8"))
    rows = known | {verdict.mutation.name: row(verdict) for verdict in verdicts if verdict.caught_by}
    write_section(page, START, END, section(areas, rows))
