"""The clock of Redis, which is the clock of every lease, makes a step."""

import asyncio

from tests.faults.injection.claims import alone_with
from tests.faults.injection.fault import Blow, Fault, NothingToHit, surely
from tests.faults.injection.redis import living
from tests.faults.plan import Profile

STEPS_S = (-20.0, -2.0, 2.0, 20.0)
"""Leases last for much less. What was asked to start later while the clock was ahead starts late by as much, and a run
has to wait for it."""


class StepClock(Fault):
    """Forwards or backwards, by a little or by a lot, and back again after a while: two steps."""

    name = "step_clock"
    weight = 2.0
    bounds_s = (0.5, 4.0)
    is_exclusive = True

    def possible(self, profile: Profile) -> bool:
        return profile.topology == "single"

    async def strike(self, blow: Blow) -> None:
        server = blow.choose(living(blow.house))
        offset_s = blow.choose(STEPS_S)
        async with alone_with(server):
            blow.begins(server.name, detail=f"{offset_s:+g} s")
            try:
                if not await surely(server.step_clock(offset_s)):
                    raise NothingToHit("this server's clock cannot be moved")
                await asyncio.sleep(blow.lasts_s)
            finally:
                await surely(server.step_clock(0.0))
