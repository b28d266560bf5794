"""What scripted jobs look like: every shape that the kernel has to bear, each drawn from a seed."""

import random
from collections.abc import Callable

import msgspec

from tests.faults.house.times import CRASH_BUDGET, ERROR_BUDGET, LEASE_S
from tests.faults.plan import Errs, Hangs, Kills, Refuses, Splits, Step, Works

Steps = tuple[Step, ...]
INSTANT = Works()
REPORT_EVERY_S = 0.4
MOST_LISTED = 60


class Shape(msgspec.Struct, frozen=True):
    """One kind of scripted job. `weight`: how often it is drawn, besides the one that every run has."""

    name: str
    weight: float
    draw: Callable[[random.Random], Steps]


def _short(chance: random.Random) -> Works:
    return Works(lasts_s=round(chance.uniform(0.05, 0.5), 3), reports=chance.randint(0, 3))


def _lasting(lasts_s: float) -> Works:
    return Works(lasts_s=round(lasts_s, 3), reports=int(lasts_s / REPORT_EVERY_S))


def _around(chance: random.Random, step: Step) -> Steps:
    """The step, with up to two instant ones before it and one after it."""
    return (*(INSTANT,) * chance.randint(0, 2), step, *(INSTANT,) * chance.randint(0, 1))


def _flaky(chance: random.Random) -> Errs:
    return Errs(times=chance.randint(1, 2), lasts_s=round(chance.uniform(0.0, 0.2), 3))


def _child(chance: random.Random) -> Steps:
    return chance.choice(((INSTANT,), (INSTANT, INSTANT), (_short(chance),), (_short(chance), INSTANT)))


def _split(chance: random.Random, children: tuple[Steps, ...], **options: object) -> Steps:
    """A job with these children: a step before them in half of the cases, and one that meets them."""
    before = (INSTANT,) * chance.randint(0, 1)
    return (*before, Splits(children=children, **options), INSTANT)  # type: ignore[arg-type]


def _family(chance: random.Random) -> Steps:
    children = tuple(_child(chance) for _ in range(chance.randint(3, 20)))
    return _split(chance, children, on_child_failure=chance.choice(("go_on", "fail")))


def _broken_family(chance: random.Random) -> Steps:
    """With children that fail: at once, or after all their attempts."""
    children = [_child(chance) for _ in range(chance.randint(3, 12))]
    for number in chance.sample(range(len(children)), k=chance.randint(1, 2)):
        children[number] = (chance.choice((Refuses(), Errs(times=ERROR_BUDGET))),)
    return _split(chance, tuple(children), on_child_failure=chance.choice(("go_on", "fail")))


def _batch(chance: random.Random) -> Steps:
    children = tuple(_child(chance) for _ in range(chance.randint(20, MOST_LISTED)))
    return _split(chance, children, listed=True)


def _deep_family(chance: random.Random) -> Steps:
    """Children with children of their own."""
    children = [_child(chance) for _ in range(chance.randint(1, 3))]
    for _ in range(chance.randint(1, 2)):
        grandchildren = tuple(_child(chance) for _ in range(chance.randint(2, 5)))
        children.append(_split(chance, grandchildren))
    return _split(chance, tuple(children))


SHAPES = (
    Shape("instant", 40, lambda chance: (INSTANT,) * 4),
    Shape("short", 22, lambda chance: tuple(_short(chance) for _ in range(chance.randint(1, 3)))),
    Shape("long", 4, lambda chance: _around(chance, _lasting(LEASE_S * chance.uniform(4, 6)))),
    Shape("very long", 0.4, lambda chance: _around(chance, _lasting(LEASE_S * chance.uniform(8, 11)))),
    Shape("flaky", 10, lambda chance: _around(chance, _flaky(chance))),
    Shape("hopeless", 3, lambda chance: _around(chance, Errs(times=ERROR_BUDGET + chance.randint(0, 1)))),
    Shape("refused", 4, lambda chance: _around(chance, Refuses())),
    Shape("poison, survived", 0.5, lambda chance: _around(chance, Kills(times=chance.randint(1, CRASH_BUDGET - 1)))),
    Shape("poison", 0.3, lambda chance: _around(chance, Kills(times=CRASH_BUDGET))),
    Shape("hanging", 0.6, lambda chance: _around(chance, Hangs(times=1))),
    Shape("late", 1.5, lambda chance: _around(chance, _lasting(LEASE_S * chance.uniform(3, 5)))),
    Shape("family", 6, _family),
    Shape("broken family", 3, _broken_family),
    Shape("batch", 1, _batch),
    Shape("deep family", 1, _deep_family),
)
"""Shares in percent, roughly. A `late` job is given a deadline that it cannot meet."""
