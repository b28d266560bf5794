"""A short deployment under load, as `python -m tests.faults rolling` does it for minutes."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.checker.report import tell
from tests.faults.rolling import deployment, judge, stop_in_turn
from tests.faults.run import run

SECONDS, SEED = 40.0, 1
WORKERS = 7


@pytest.mark.heavy
@pytest.mark.timeout(240)
def test_a_deployment_repeats_nothing_and_charges_nobody(tmp_path: Path) -> None:
    plan = deployment(SECONDS, SEED)
    done = asyncio.run(run(plan, tmp_path, disturbance=stop_in_turn))
    rolled, violations = judge(plan, done.history, done.leavings)
    repeat = f"python -m tests.faults rolling --minutes {SECONDS / 60:g} --seed {SEED}"
    told = tell(plan, done.history, done.leavings, [*done.violations, *violations], repeat)
    assert done.clean, "\n".join([*done.unfinished, told])
    assert not violations, told
    assert rolled.stops >= WORKERS
    assert rolled.stages > rolled.jobs
