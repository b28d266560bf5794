"""Removes one guard at a time and shows which test notices. None may go unnoticed.

usage: python -m tests.faults.mutations [NAME…] [--list] [--markdown FILE | --record]

The tests that are named for the mutations run first as everything is: they must pass. The exit status is 1 if a
mutation stays green or nothing is known about it.
"""

import argparse
import fcntl
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.mutations.catalogue import AREAS, BY_NAME, MUTATIONS
from tests.faults.mutations.checkout import ROOT, Copy
from tests.faults.mutations.mutation import Mutation
from tests.faults.mutations.running import NoOutcome
from tests.faults.mutations.table import line, record
from tests.faults.mutations.verdict import Verdict, baseline, judge

WORKPLACE = ROOT / "native" / "target" / "mutations"
"""Always the same, so that cargo builds only what was touched."""
PAGE = ROOT / "docs" / "guarantees.md"


def say(words: str) -> None:
    sys.stdout.write(words)
    sys.stdout.flush()


def check(mutations: Sequence[Mutation], workplace: Path, pages: Sequence[Path] = ()) -> int:
    """Runs them; the exit status."""
    copy, cargo = Copy(workplace / "checkout"), workplace / "cargo"
    copy.make()
    began_s = time.monotonic()
    try:
        failed = baseline(copy, cargo, mutations)
    except NoOutcome as error:
        say(f"With every guard in place: {error}\n")
        return 1
    if failed:
        say("These fail although every guard is in place:\n" + "".join(f"  {test}\n" for test in failed))
        return 1
    say(f"With every guard in place all tests pass ({time.monotonic() - began_s:.0f} s).\n")
    verdicts = _judged(copy, cargo, mutations)
    for page in pages:
        record(page, AREAS, verdicts)
    missed = [verdict.mutation.name for verdict in verdicts if not verdict.caught_by]
    say(f"{len(verdicts) - len(missed)} of {len(verdicts)} caught in {time.monotonic() - began_s:.0f} s.\n")
    if missed:
        say(f"Not caught: {', '.join(missed)}\n")
    return 1 if missed else 0


def _judged(copy: Copy, cargo: Path, mutations: Sequence[Mutation]) -> list[Verdict]:
    width = max(len(mutation.name) for mutation in mutations)
    verdicts = []
    for verdict in judge(copy, cargo, mutations):
        say(line(verdict, width))
        if verdict.trouble:
            say(verdict.trouble + "\n")
        verdicts.append(verdict)
    return verdicts


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutations", description=__doc__.partition("\n")[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="mutations; default: all of them")
    parser.add_argument("--list", action="store_true", help="names, guards and tests, without running anything")
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="a page that gets the rows of what was run")
    parser.add_argument("--record", action="store_true", help="the same for docs/guarantees.md")
    options = parser.parse_args(argv)
    if unknown := [name for name in options.names if name not in BY_NAME]:
        parser.error(f"no such mutation: {', '.join(unknown)}")
    mutations = [mutation for mutation in MUTATIONS if not options.names or mutation.name in options.names]
    if options.list:
        for mutation in mutations:
            say(f"{mutation.name}\n    {mutation.guard}\n    {mutation.file}\n    {', '.join(mutation.tests)}\n")
        return 0
    pages = [page for page in (options.markdown, PAGE if options.record else None) if page is not None]
    WORKPLACE.mkdir(parents=True, exist_ok=True)
    with (WORKPLACE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            parser.error("it is running already")
        return check(mutations, WORKPLACE, pages)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
