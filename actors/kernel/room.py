"""The places of an actor: how many it has, what is in them, and what must be there alone. Pure."""

from collections.abc import Sequence

from actors.kernel.items import Grant

SUSPECT = 2
"""Lost leases of one stage after which a job runs beside no other (lua/parts/context.lua)."""


class Room:
    """Whether one more job may be taken now. Its numbers are written by the methods, the attributes by the actor."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.asked = 0
        """Jobs that the take under way may bring."""
        self.clearing = False
        """A job waits that must run alone, and this worker was chosen to make room for it."""
        self._running = 0
        self._suspects = 0
        """How many of them must run alone."""
        self._reserved = 0
        """Kept for jobs that neighbours are about to hand over."""

    @property
    def busy(self) -> int:
        """Places that are taken, or kept for somebody."""
        return self._running + self._reserved

    @property
    def free(self) -> int:
        return self.places - self.busy

    @property
    def full(self) -> bool:
        """Nothing may be taken now: no place is free, or a job that must run alone runs or is awaited."""
        return self._suspects > 0 or self.free <= 0 or (self.clearing and self.busy > 0)

    def reserve(self) -> bool:
        """Keeps a place, until `give_up`; False where there is none beside what the take under way may bring."""
        if self.clearing or self.full or self.free <= self.asked:
            return False
        self._reserved += 1
        return True

    def give_up(self) -> None:
        """Ends `reserve`."""
        self._reserved -= 1

    def enter(self, grants: Sequence[Grant]) -> None:
        """These run from now on."""
        self._running += len(grants)
        self._suspects += sum(grant.crashes >= SUSPECT for grant in grants)

    def leave(self, grant: Grant) -> None:
        """It runs no more."""
        self._running -= 1
        self._suspects -= grant.crashes >= SUSPECT
