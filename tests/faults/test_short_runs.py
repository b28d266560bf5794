"""Short runs, as `python -m tests.faults run --profile short` does them. README.md tells how to read a failure."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.checker.report import tell
from tests.faults.drawing import draw, repeat_command
from tests.faults.history import ExecutionStarted, FaultBegan, Frame
from tests.faults.plan import Profile
from tests.faults.profiles import SHORT, SHORT_CLUSTER
from tests.faults.run import run

SEED = 4


@pytest.mark.timeout(240)
@pytest.mark.parametrize("profile", [SHORT, SHORT_CLUSTER], ids=lambda profile: profile.name)
def test_no_promise_is_broken(profile: Profile, tmp_path: Path) -> None:
    plan = draw(SEED, profile)
    done = asyncio.run(run(plan, tmp_path))
    told = tell(plan, done.history, done.leavings, done.violations, repeat_command(plan))
    assert done.clean, "\n".join([*done.unfinished, told])
    # That much must have happened, or nothing was shown.
    for kind, least in ((ExecutionStarted, profile.jobs), (FaultBegan, len(plan.faults) // 2), (Frame, profile.jobs)):
        assert sum(isinstance(event, kind) for event in done.history) >= least, kind
