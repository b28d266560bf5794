"""Carries out the faults of a plan."""

import asyncio

from tests.faults.history import Journal, now_s
from tests.faults.house.house import House
from tests.faults.injection.catalogue import FAULTS
from tests.faults.plan import FaultPlan, Plan


class Injector:
    """All faults of a plan, each at its time, however long the others take."""

    def __init__(self, plan: Plan, house: House, journal: Journal) -> None:
        self._faults = plan.faults
        self._house = house
        self._journal = journal

    async def run(self, started_s: float) -> None:
        """`started_s`: when the load began, by `now_s()`. Returns when all is undone, also when cancelled."""
        async with asyncio.TaskGroup() as group:
            for number, plan in enumerate(self._faults):
                group.create_task(self._inflict(started_s, number, plan))

    async def _inflict(self, started_s: float, number: int, plan: FaultPlan) -> None:
        await asyncio.sleep(max(0.0, started_s + plan.at_s - now_s()))
        await FAULTS[plan.name].inflict(plan, number, self._house, self._journal)
