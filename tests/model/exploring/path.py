"""The way to a state, told and made again under names that stay the same from its first step to its last."""

from collections.abc import Callable
from contextlib import suppress

from tests.model.exploring.exploration import Space, World, without_collector
from tests.model.exploring.kept import Act
from tests.model.exploring.progress import circle, stuck
from tests.model.exploring.state import Everything, canonical
from tests.model.exploring.steps import Step


class Walk:
    """One history, step by step."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.state: Everything = world.begin()
        self.taken: list[Step] = []

    @property
    def acts(self) -> list[Act]:
        """What was asked of Redis, or happened to it."""
        return [step.act for step in self.taken if step.act]

    def choices(self) -> list[Step]:
        """What can happen next. A new take has a nonce of its own."""
        return list(self._world.steps(self.state, f"n{len(self.taken) + 1}"))

    def take(self, step: Step) -> None:
        self.taken.append(step)
        self.state = step.after

    def branch(self, step: Step) -> "Walk":
        """Another history, which goes on with one step."""
        branched = Walk(self._world)
        branched.state, branched.taken = self.state, list(self.taken)
        branched.take(step)
        return branched

    def go(self, wanted: Callable[[Step], bool]) -> None:
        """Takes the first step that is wanted."""
        self.take(next(step for step in self.choices() if wanted(step)))

    def go_to(self, goal: Everything) -> None:
        self.go(lambda step: not step.broken and canonical(step.after) == goal)

    def told(self) -> str:
        return "\n".join(f"{number:4}. {step.text}" for number, step in enumerate(self.taken, 1))


def walk_to(space: Space, number: int) -> Walk:
    """A shortest history that ends in a state."""
    way = []
    while number > 0:
        way.append(number)
        number = space.parents[number]
    walk = Walk(space.world)
    for following in reversed(way):
        walk.go_to(space.states[following])
    return walk


def walk_that_breaks(space: Space, rule: str) -> Walk:
    """The shortest history that breaks a rule; of `cycle`, once round."""
    if rule in space.breaches:
        walk = walk_to(space, space.breaches[rule].state)
        walk.go(lambda step: any(broken.rule == rule for broken in step.broken))
        return walk
    with without_collector():
        lost, way = stuck(space), circle(space) or []
    if rule == "end" and lost is not None:
        return walk_to(space, lost)
    if rule != "cycle" or not way:
        raise LookupError(rule)
    walk = walk_to(space, way[0])
    for number in way[1:]:
        walk.go_to(space.states[number])
    return walk


def tell_all(space: Space) -> dict[str, str]:
    """Every rule that is broken, with the shortest history that breaks it."""
    found = {}
    for rule in (*space.breaches, "end", "cycle"):
        with suppress(LookupError):
            walk = walk_that_breaks(space, rule)
            found[rule] = f"{rule}: {_how(walk, rule)}, after\n{walk.told()}"
    return found


def _how(walk: Walk, rule: str) -> str:
    if rule == "end":
        return "nothing leads to the end any more"
    if rule == "cycle":
        return "nothing need go wrong, and the last steps may be made again and again"
    return next(broken.message for broken in walk.taken[-1].broken if broken.rule == rule)
