"""What a run leaves in its folder beside its history, so that it can be judged again."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.faults.checker.checking import check
from tests.faults.checker.violation import Violation
from tests.faults.history import Event, read_history
from tests.faults.leavings import Leavings
from tests.faults.plan import Plan

PLAN, LEAVINGS = "plan.json", "leavings.json"


class Judged(NamedTuple):
    """A run as its folder tells of it, and what today's checks say."""

    plan: Plan
    history: Sequence[Event]
    leavings: Leavings
    violations: list[Violation]


def keep(folder: Path, plan: Plan, leavings: Leavings) -> None:
    (folder / PLAN).write_bytes(msgspec.json.encode(plan))
    (folder / LEAVINGS).write_bytes(msgspec.json.encode(leavings))


def judge(folder: Path) -> Judged:
    """Raises FileNotFoundError where no run came to its end."""
    plan = msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    leavings = msgspec.json.decode((folder / LEAVINGS).read_bytes(), type=Leavings)
    history = read_history(folder)
    return Judged(plan, history, leavings, check(plan, history, leavings))
