"""What every fault is: a blow against whatever is there when it falls, written down, and undone whatever happens."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from time import monotonic
from typing import Any, ClassVar, TypeVar

from redis.exceptions import RedisError

from tests.faults.history import FaultBegan, FaultEnded, FaultPassed, Journal, now_s
from tests.faults.house.house import House
from tests.faults.plan import FaultPlan, Profile

Thing = TypeVar("Thing")
LOOKS_EVERY_S = 0.02


class NothingToHit(Exception):
    """There is no victim, or it was gone before the blow fell."""


EXPECTED = (NothingToHit, RedisError, OSError, TimeoutError)
"""How a blow may fail that meets a server or a process which another fault has just brought down."""


class Blow:
    """One fault of the plan as it falls. What it chooses, it chooses by the plan's seed."""

    def __init__(self, name: str, plan: FaultPlan, number: int, house: House, journal: Journal) -> None:
        self.house = house
        self.lasts_s = plan.lasts_s
        self.chance = random.Random(plan.seed)
        self.has_begun = False
        self._name = name
        self._number = number
        self._journal = journal

    def choose(self, things: Sequence[Thing]) -> Thing:
        if not things:
            raise NothingToHit("there is no victim")
        return self.chance.choice(things)

    def begins(self, *victims: str, detail: str = "") -> None:
        """To be called before anything is done."""
        self.has_begun = True
        self._journal.add(
            FaultBegan(at_s=now_s(), number=self._number, name=self._name, victims=victims, detail=detail)
        )

    def ends(self) -> None:
        self._journal.add(FaultEnded(at_s=now_s(), number=self._number, name=self._name))

    def passes(self, why: str) -> None:
        self._journal.add(FaultPassed(at_s=now_s(), number=self._number, name=self._name, why=why))


class Fault(ABC):
    """One way to hurt an installation."""

    name: ClassVar[str]
    weight: ClassVar[float]
    """How often it is drawn, compared with the others."""
    bounds_s: ClassVar[tuple[float, float]] = (0.0, 0.0)
    """How long it lasts, or how long it waits for its moment."""
    is_exclusive: ClassVar[bool] = False
    """Whether it stops Redis as a whole, so that two of them at once are no harder than one."""

    def possible(self, profile: Profile) -> bool:
        """Whether there is something for it in such an installation."""
        return True

    async def inflict(self, plan: FaultPlan, number: int, house: House, journal: Journal) -> None:
        """Returns when it is undone. Every FaultBegan is followed by a FaultEnded, also when this is cancelled.

        FaultPassed alone: there was no victim. FaultPassed before FaultEnded: the victim was gone before it was hit.
        """
        blow = Blow(self.name, plan, number, house, journal)
        try:
            await self.strike(blow)
        except EXPECTED as error:
            blow.passes(str(error) or type(error).__name__)
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # The error came while it was undone, and must not hide what ended it.
                raise asyncio.CancelledError from error
        finally:
            if blow.has_begun:
                blow.ends()

    @abstractmethod
    async def strike(self, blow: Blow) -> None:
        """Chooses a victim, says so, hits it and undoes it. May raise what is expected; must undo all the same."""


async def surely(work: Coroutine[Any, Any, Thing]) -> Thing:
    """Carries on to the end of `work` even when cancelled meanwhile, and then passes the cancellation on."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        # Looked at, so that nobody complains that its error was never retrieved.
        task.exception()
        raise asyncio.CancelledError
    return task.result()


async def comes_true(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether the condition was met before the time was over."""
    gives_up_at_s = monotonic() + within_s
    while not condition():
        if monotonic() > gives_up_at_s:
            return False
        await asyncio.sleep(LOOKS_EVERY_S)
    return True


async def until_it_works(attempt: Callable[[], Awaitable[object]], within_s: float) -> None:
    """Again and again while the other side is down; what brings it down is undone as well."""
    gives_up_at_s = monotonic() + within_s
    while True:
        try:
            await attempt()
            return
        except EXPECTED:
            if monotonic() > gives_up_at_s:
                raise
            await asyncio.sleep(LOOKS_EVERY_S)
