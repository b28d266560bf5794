"""Which fault falls when, from a seed."""

import random

import msgspec

from tests.faults.injection.catalogue import FAULTS, possible
from tests.faults.injection.fault import Fault
from tests.faults.plan import FaultPlan, Profile

BEGINS_S = 1.0
"""The first moment of a blow: there is some work by then."""
RECOVERY_S = 0.5
"""Left to the servers behind a fault that stops them as a whole."""
EXCLUSIVE_SHARE = 0.5
"""Of the time of the faults, for those that stop a server as a whole: otherwise a run would make no progress."""


def schedule(profile: Profile, chance: random.Random) -> tuple[FaultPlan, ...]:
    """The faults of a run in the order of time.

    Their moments are those of a Poisson process with as many events as are expected: independent and even. Each
    possible fault comes once in the first round, as far as there is room, and then each by its weight.
    """
    span_s = max(0.0, profile.chaos_s - BEGINS_S)
    times_s = sorted(BEGINS_S + chance.uniform(0.0, span_s) for _ in range(_count(profile)))
    faults = _draw(profile, len(times_s), span_s * EXCLUSIVE_SHARE, chance)
    plans = [
        FaultPlan(at_s=at_s, name=fault.name, lasts_s=chance.uniform(*fault.bounds_s), seed=chance.getrandbits(32))
        for at_s, fault in zip(times_s, faults, strict=True)
    ]
    return tuple(sorted(_apart(plans, profile.chaos_s), key=lambda plan: plan.at_s))


def _count(profile: Profile) -> int:
    return round(profile.faults_per_s * max(0.0, profile.chaos_s - BEGINS_S))


def _draw(profile: Profile, count: int, exclusive_s: float, chance: random.Random) -> list[Fault]:
    """A round in which each comes at most once, rather the frequent ones where not all fit; then as weight says."""
    there = possible(profile)
    left = list(there)
    faults: list[Fault] = []
    while left and len(faults) < count:
        faults.append(_by_weight(left, chance))
        left.remove(faults[-1])
    chance.shuffle(faults)
    spent_s = sum(_expected_s(fault) for fault in faults if fault.is_exclusive)
    while there and len(faults) < count:
        fault = _by_weight(there, chance)
        if fault.is_exclusive:
            spent_s += _expected_s(fault)
        if spent_s > exclusive_s:
            there = [fault for fault in there if not fault.is_exclusive]
        faults.append(fault)
    return faults


def _by_weight(faults: list[Fault], chance: random.Random) -> Fault:
    return chance.choices(faults, [fault.weight for fault in faults])[0]


def _expected_s(fault: Fault) -> float:
    return sum(fault.bounds_s) / 2 + RECOVERY_S


def _apart(plans: list[FaultPlan], ends_s: float) -> list[FaultPlan]:
    """Moves faults that stop a server as a whole so that none begins before the one before it is undone.

    Here and not by a lock alone, so that the plan says what happens when, and all of it happens within the time. First
    each is pushed behind the one before it, then, from the end, whatever does not fit is pulled forward.
    """
    exclusive = [plan for plan in plans if FAULTS[plan.name].is_exclusive]
    lengths_s = [plan.lasts_s + RECOVERY_S for plan in exclusive]
    free_from_s = BEGINS_S
    starts_s = []
    for plan, length_s in zip(exclusive, lengths_s, strict=True):
        starts_s.append(max(plan.at_s, free_from_s))
        free_from_s = starts_s[-1] + length_s
    # If they do not fit at all they run over: each was wanted.
    limit_s = max(ends_s, BEGINS_S + sum(lengths_s))
    for place in reversed(range(len(exclusive))):
        starts_s[place] = min(starts_s[place], limit_s - lengths_s[place])
        limit_s = starts_s[place]
    moved = (msgspec.structs.replace(plan, at_s=at_s) for plan, at_s in zip(exclusive, starts_s, strict=True))
    return [plan for plan in plans if not FAULTS[plan.name].is_exclusive] + list(moved)
