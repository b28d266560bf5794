"""What one run found out about one mutation."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from tests.faults.mutations.checkout import Copy
from tests.faults.mutations.mutation import Mutation, WrongText
from tests.faults.mutations.running import MOST_S, NoOutcome, run_tests

BASELINE_S = 1200.0


class Verdict(msgspec.Struct, frozen=True):
    """One mutation. Caught, or green, or nothing is known: `trouble` says why."""

    mutation: Mutation
    caught_by: tuple[str, ...]
    """The tests that failed."""
    seconds: float
    trouble: str = ""

    @property
    def word(self) -> str:
        """For the table."""
        if self.trouble:
            return f"ERROR: {self.trouble.splitlines()[0]}"
        return ", ".join(self.caught_by) or "NOBODY: it stays green"


def tests_of(mutations: Iterable[Mutation]) -> list[str]:
    """Each test once."""
    return list(dict.fromkeys(test for mutation in mutations for test in mutation.tests))


def baseline(copy: Copy, cargo: Path, mutations: Iterable[Mutation]) -> list[str]:
    """The tests that fail although every guard is there. Raises NoOutcome."""
    return run_tests(copy.folder, cargo, tests_of(mutations), first_only=False, most_s=BASELINE_S)


def judge(copy: Copy, cargo: Path, mutations: Iterable[Mutation]) -> Iterator[Verdict]:
    """One after the other, each alone."""
    for mutation in mutations:
        began_s = time.monotonic()
        trouble = ""
        caught_by: list[str] = []
        try:
            with copy.without(mutation):
                caught_by = run_tests(copy.folder, cargo, mutation.tests, first_only=True, most_s=MOST_S)
        except (NoOutcome, WrongText) as error:
            trouble = str(error)
        yield Verdict(mutation, tuple(caught_by), round(time.monotonic() - began_s, 1), trouble)
