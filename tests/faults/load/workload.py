"""The work of one run, drawn from its seed: who submits what and when, and what else they do with it."""

import random

from msgspec.structs import replace

from tests.faults.load.ends import allowed_ends
from tests.faults.load.shapes import SHAPES, Shape
from tests.faults.plan import JobPlan, Media, Profile, Scripted, WatcherPlan

SUBMITTED_WITHIN = 0.9
"""Part of the time of faults in which work is submitted."""
TENANT_SHARES = {"default": 40, "limited": 20, "many": 30, "few": 10}
SERVED = "default"
"""The tenant whose jobs can be watched."""
CANCELLED_SHARE = 0.1
CANCELLED_AT_ONCE = 0.25
REPLAYED_SHARE = 0.5
WATCHED_SHARE = 0.4
DELAYED_SHARE = 0.06
FAR_DEADLINE_SHARE, FAR_DEADLINE_S = 0.05, 3600.0


def workload(profile: Profile, chance: random.Random) -> tuple[JobPlan, ...]:
    """The jobs, in the order in which they are submitted."""
    media = 0 if profile.ffmpeg == "none" else round(profile.jobs * profile.media_share)
    works: list[tuple[Shape | None, Scripted | Media]] = [(None, _media(chance)) for _ in range(media)]
    works += [(shape, Scripted(steps=shape.draw(chance))) for shape in _shapes(profile.jobs - media, chance)]
    chance.shuffle(works)
    moments = sorted(chance.uniform(0.0, SUBMITTED_WITHIN * profile.chaos_s) for _ in works)
    return tuple(
        _job(number, round(at_s, 3), shape, work, chance)
        for number, (at_s, (shape, work)) in enumerate(zip(moments, works, strict=True))
    )


def _media(chance: random.Random) -> Media:
    from tests.faults.media.jobs import media_job

    return media_job(chance)


def _shapes(count: int, chance: random.Random) -> list[Shape]:
    """One of every shape, as far as there is room, and the rest by their weights."""
    every = chance.sample(SHAPES, k=min(count, len(SHAPES)))
    return every + chance.choices(SHAPES, weights=[shape.weight for shape in SHAPES], k=count - len(every))


def _job(number: int, at_s: float, shape: Shape | None, work: Scripted | Media, chance: random.Random) -> JobPlan:
    tenant = SERVED
    if isinstance(work, Scripted):
        tenant = chance.choices(tuple(TENANT_SHARES), weights=tuple(TENANT_SHARES.values()))[0]
    job = JobPlan(
        number=number,
        at_s=at_s,
        tenant=tenant,
        work=work,
        priority=chance.choices(("high", "normal", "low"), weights=(2, 6, 2))[0],
        delay_s=round(chance.uniform(1.0, 5.0), 3) if chance.random() < DELAYED_SHARE else 0.0,
        deadline_s=_deadline_s(shape, chance),
        cancel_after_s=_cancel_after_s(chance),
        watchers=_watchers(chance) if tenant == SERVED and chance.random() < WATCHED_SHARE else (),
    )
    replayed = chance.random() < REPLAYED_SHARE and allowed_ends(job) != {"completed"}
    return replace(job, replayed=True) if replayed else job


def _deadline_s(shape: Shape | None, chance: random.Random) -> float | None:
    if shape is not None and shape.name == "late":
        return round(chance.uniform(1.0, 2.5), 3)
    return FAR_DEADLINE_S if chance.random() < FAR_DEADLINE_SHARE else None


def _cancel_after_s(chance: random.Random) -> float | None:
    if chance.random() >= CANCELLED_SHARE:
        return None
    return 0.0 if chance.random() < CANCELLED_AT_ONCE else round(chance.expovariate(0.5), 3)


def _watchers(chance: random.Random) -> tuple[WatcherPlan, ...]:
    return tuple(_watcher(chance) for _ in range(chance.choice((1, 1, 1, 2, 3))))


def _watcher(chance: random.Random) -> WatcherPlan:
    """Most come at once and stay; the others come late, break off once or leave."""
    late = chance.random() < 0.25
    breaks = chance.random() < 0.3
    leaves = chance.random() < 0.15
    return WatcherPlan(
        after_s=round(chance.uniform(0.2, 6.0), 3) if late else 0.0,
        breaks_after_s=round(chance.uniform(0.0, 3.0), 3) if breaks else None,
        leaves_after_s=round(chance.uniform(0.1, 5.0), 3) if leaves else None,
    )
