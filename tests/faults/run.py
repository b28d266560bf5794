"""One run: an installation, work, faults, the end of the faults, and what is found afterwards.

start ─► load + faults (chaos_s) ─► heal ─► everything ends by itself ─► gather ─► SIGTERM to all ─► check
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec

from actors.kernel import end_tasks
from tests.faults.checker.checking import Violation, check
from tests.faults.checker.gathering import finish, gather
from tests.faults.history import HISTORY, Event, Journal, now_s, read_history
from tests.faults.house.house import House
from tests.faults.injection.injector import Injector
from tests.faults.keeping import keep
from tests.faults.leavings import Leavings
from tests.faults.load.load import Load
from tests.faults.load.sampler import Sampler
from tests.faults.media.sources import Sources
from tests.faults.plan import Plan

PATIENCE_S = 120.0
"""From the end of the faults until every job must have ended."""
QUIET_S = 60.0
"""Then, until nothing may be left of them but what is kept."""


Disturbance = Callable[[Plan, House, Journal], Awaitable[None]]
"""What happens to an installation while it works. It returns when the disturbance is over."""


async def inject(plan: Plan, house: House, journal: Journal) -> None:
    """The faults of the plan."""
    await Injector(plan, house, journal).run(now_s())


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one run when it is over."""

    plan: Plan
    history: list[Event]
    leavings: Leavings
    violations: list[Violation]
    unfinished: list[str]
    """What its clients still waited for when patience ended."""
    server: str
    """Version of Redis."""
    took_s: float

    @property
    def clean(self) -> bool:
        """Whether no promise was broken."""
        return not self.violations and not self.unfinished


async def run(plan: Plan, folder: Path, redis_program: str | None = None, disturbance: Disturbance = inject) -> Run:
    """Carries a plan out in an empty folder, which keeps the records, the logs and the storage."""
    began_s = now_s()
    journal = Journal(folder / HISTORY)
    house = House(plan.profile, folder, journal, redis_program=redis_program)
    unfinished: list[str] = []
    try:
        async with _sources(plan, folder) as sources:
            await house.start()
            async with _sampled(house, journal):
                unfinished = await _work(plan, house, journal, sources, disturbance)
            leavings = await gather(house, journal, QUIET_S)
            exits = await house.stop()
        server = house.servers[0].version
    finally:
        await house.close()
        journal.close()
    leavings = finish(leavings, exits, folder)
    keep(folder, plan, leavings)
    history = read_history(folder)
    return Run(
        plan=plan,
        history=history,
        leavings=leavings,
        violations=check(plan, history, leavings),
        unfinished=unfinished,
        server=server,
        took_s=now_s() - began_s,
    )


async def _work(
    plan: Plan, house: House, journal: Journal, sources: Sources | None, disturbance: Disturbance
) -> list[str]:
    """Work while it is disturbed, then without that until it has ended. What has not is returned."""
    load = Load(plan, house, journal, sources)
    loading = asyncio.create_task(load.run())
    try:
        disturbing = asyncio.ensure_future(disturbance(plan, house, journal))
        try:
            await asyncio.wait({loading, disturbing}, return_when=asyncio.FIRST_COMPLETED)
            if loading.done():
                # It raised, or it was done before the last blow.
                loading.result()
            await disturbing
        finally:
            await end_tasks([disturbing])
        await house.heal()
        load.faults_over()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(loading), PATIENCE_S)
        return [] if loading.done() else load.unfinished()
    finally:
        await end_tasks([loading])
        await load.close()


@contextlib.asynccontextmanager
async def _sources(plan: Plan, folder: Path) -> AsyncIterator[Sources | None]:
    """The site that media jobs are fetched from."""
    if plan.profile.ffmpeg == "none":
        yield None
        return
    sources = Sources(folder / "sources")
    await sources.start()
    try:
        yield sources
    finally:
        await sources.stop()


@contextlib.asynccontextmanager
async def _sampled(house: House, journal: Journal) -> AsyncIterator[None]:
    """Limits are looked at all the time."""
    sampling = asyncio.create_task(Sampler(house, journal).run())
    try:
        yield
    finally:
        await end_tasks([sampling])
