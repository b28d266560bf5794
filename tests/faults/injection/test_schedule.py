"""The plan of the faults: the same from the same seed, complete, and without two that stop a server at once."""

import random
from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from tests.faults.injection.catalogue import FAULTS, possible
from tests.faults.injection.schedule import BEGINS_S, RECOVERY_S, schedule
from tests.faults.plan import FaultPlan, Profile

FULL = Profile(name="full", jobs=1, chaos_s=75.0, faults_per_s=1.4)
BRIEF = msgspec.structs.replace(FULL, name="brief", chaos_s=30.0)
TINY = msgspec.structs.replace(FULL, name="tiny", chaos_s=8.0, faults_per_s=0.5)
CLUSTER = msgspec.structs.replace(FULL, topology="cluster", ffmpeg="none")
SEEDS = range(30)


def drawn(profile: Profile, seed: int) -> tuple[FaultPlan, ...]:
    return schedule(profile, random.Random(seed))


def test_the_same_seed_gives_the_same_plan() -> None:
    assert drawn(FULL, 7) == drawn(FULL, 7)
    assert drawn(FULL, 7) != drawn(FULL, 8)


@pytest.mark.parametrize("profile", [FULL, CLUSTER], ids=lambda profile: profile.name + profile.topology)
def test_every_possible_fault_comes_and_no_other(profile: Profile) -> None:
    names = {fault.name for fault in possible(profile)}
    assert profile.chaos_s * profile.faults_per_s >= 2 * len(names)
    for seed in SEEDS:
        assert {plan.name for plan in drawn(profile, seed)} == names


def test_what_a_cluster_and_a_house_without_ffmpeg_cannot_bear_is_left_out() -> None:
    impossible = set(FAULTS) - {fault.name for fault in possible(CLUSTER)}
    assert impossible == {"lose_reply", "lose_reply_of", "blackhole", "step_clock", "kill_ffmpeg"}


@pytest.mark.parametrize("profile", [FULL, BRIEF, TINY], ids=lambda profile: profile.name)
def test_times_are_in_order_and_within_bounds(profile: Profile) -> None:
    for seed in SEEDS:
        plans = drawn(profile, seed)
        assert len(plans) == round(profile.faults_per_s * (profile.chaos_s - BEGINS_S))
        assert [plan.at_s for plan in plans] == sorted(plan.at_s for plan in plans)
        for plan in plans:
            low, high = FAULTS[plan.name].bounds_s
            assert low <= plan.lasts_s <= high
            assert BEGINS_S <= plan.at_s <= profile.chaos_s


def overlaps(plans: tuple[FaultPlan, ...]) -> list[tuple[str, str]]:
    exclusive = [plan for plan in plans if FAULTS[plan.name].is_exclusive]
    return [
        (first.name, second.name)
        for first, second in pairwise(exclusive)
        if second.at_s < first.at_s + first.lasts_s + RECOVERY_S - 1e-6
    ]


@pytest.mark.parametrize("profile", [FULL, CLUSTER, BRIEF, TINY], ids=lambda profile: profile.name)
def test_what_stops_a_server_never_meets_its_like(profile: Profile) -> None:
    for seed in SEEDS:
        assert overlaps(drawn(profile, seed)) == []


def test_a_crowd_of_faults_runs_over_and_loses_none() -> None:
    """More than fits one behind the other: the time is given up, not the faults."""
    crowded = msgspec.structs.replace(FULL, chaos_s=5.0, faults_per_s=20.0)
    for seed in SEEDS:
        plans = drawn(crowded, seed)
        assert overlaps(plans) == []
        assert {plan.name for plan in plans} == {fault.name for fault in possible(crowded)}


def test_weights_decide_what_is_frequent() -> None:
    long = msgspec.structs.replace(FULL, chaos_s=2000.0)
    share = Counter(plan.name for plan in drawn(long, 3))
    total = share.total()
    for name in ("restart_redis", "fail_power", "step_clock"):
        assert 0.015 < share[name] / total < 0.045
    exclusive = {name for name, fault in FAULTS.items() if fault.is_exclusive}
    assert share.most_common(1)[0][0] in ("kill_worker", "freeze", "lose_reply_of")
    assert sum(share[name] for name in exclusive) / total < 0.25
