"""From a seed to a plan."""

import random

from tests.faults.injection.schedule import schedule
from tests.faults.load.workload import workload
from tests.faults.plan import Plan, Profile


def draw(seed: int, profile: Profile) -> Plan:
    """The plan of this seed. Work and faults are drawn apart: a change of the one leaves the other as it was."""
    jobs = workload(profile, random.Random(f"work {seed}"))
    faults = schedule(profile, random.Random(f"faults {seed}"))
    return Plan(seed=seed, profile=profile, jobs=jobs, faults=faults)
