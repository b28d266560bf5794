"""From a seed to a plan, and from a plan to the line that does it again."""

import random

from tests.faults.injection.schedule import schedule
from tests.faults.load.workload import workload
from tests.faults.plan import Plan, Profile


def draw(seed: int, profile: Profile) -> Plan:
    """The plan of this seed. Work and faults are drawn apart: a change of the one leaves the other as it was."""
    jobs = workload(profile, random.Random(f"work {seed}"))
    faults = schedule(profile, random.Random(f"faults {seed}"))
    return Plan(seed=seed, profile=profile, jobs=jobs, faults=faults)


def repeat_command(plan: Plan, redis_program: str | None = None) -> str:
    """The one line that does the same again."""
    profile = plan.profile
    words = [
        "python -m tests.faults run", f"--profile {profile.name}", f"--seed {plan.seed}",
        f"--jobs {profile.jobs}", f"--seconds {profile.chaos_s:g}", f"--rate {profile.faults_per_s:g}",
    ]  # fmt: skip
    if redis_program is not None:
        words.append(f"--redis-server {redis_program}")
    return " ".join(words)
