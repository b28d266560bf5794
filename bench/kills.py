"""Workers of a busy installation killed one after the other: how long the work of each one stands still."""

import asyncio
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from bench.context import Context, Durability
from bench.findings import Figure, Row, Table
from bench.yard import LIMIT, REAPERS, SLOTS, WORKERS, Yard

STAGES_S = (1.0, 60.0)
KILLS, WAITING = 6, 10_000
Queue = Literal["empty", "limit", "crowd"]
QUEUES: dict[Queue, str] = {
    "empty": "nothing else",
    "limit": "jobs of the same tenant, which is at its limit",
    "crowd": "hints of other tenants in the same inbox",
}
HOW = (
    f"Killed while much waits: {WORKERS} worker processes with {SLOTS} slots, {REAPERS} reapers, a killed worker is"
    f" started anew at once; tenant limit {LIMIT} where there is one; Unix socket. The moment of each kill is random,"
    " and the times are the server's."
)


class Case(msgspec.Struct, frozen=True):
    """One length of the stage with one kind of queue."""

    stage_s: float
    queue: Queue
    waiting: int
    """Unfinished jobs that waited at the first kill."""
    standstills_s: list[list[float]]
    """For each killed worker, how long each of its jobs stood still."""

    @property
    def all_s(self) -> list[float]:
        return [standstill_s for lost in self.standstills_s for standstill_s in lost]

    @property
    def waited(self) -> str:
        """For a reader."""
        return QUEUES[self.queue] if self.queue == "empty" else f"{self.waiting} {QUEUES[self.queue]}"


async def one_case(url: str, stage_s: float, queue: Queue, waiting: int, kills: int, chance: random.Random) -> Case:
    """Fills the installation, then kills workers one after the other."""
    with tempfile.TemporaryDirectory(prefix="reelway-bench-") as folder:
        yard = Yard(url, Path(folder), chance)
        try:
            await yard.start()
            if queue == "limit":
                await yard.set_limit(LIMIT)
                await yard.submit(waiting, stage_s)
            elif queue == "crowd":
                await yard.submit_crowd(waiting)
            await yard.until_reapers_may_reap()
            standing = await yard.waiting()
            standstills_s = [await yard.kill_one(stage_s) for _ in range(kills)]
        finally:
            await yard.stop()
    return Case(stage_s, queue, standing, standstills_s)


def kill_workers(context: Context) -> Iterator[Case]:
    """Every length of the stage with every kind of queue, each on a server of its own."""
    chance = random.Random(context.seed)
    kills, waiting = (1, 200) if context.quick else (KILLS, WAITING)
    for stage_s in STAGES_S[:1] if context.quick else STAGES_S:
        for queue in ("limit",) if context.quick else tuple(QUEUES):
            with context.server(Durability.EVERYSEC) as server:
                case = asyncio.run(one_case(server.socket_url, stage_s, queue, waiting, kills, chance))
            context.say(f"{stage_s:g} s, {queue}: {sorted(round(each, 1) for each in case.all_s)}")
            yield case


def table(cases: list[Case]) -> Table:
    """One line a case; the values of a standstill are those of every stage that was lost."""
    rows = tuple(
        Row(
            (f"{case.stage_s:g} s", case.waited),
            (
                Figure("", (float(len(case.standstills_s)),)),
                Figure("", (float(len(case.all_s)),)),
                Figure("s", tuple(round(each, 3) for each in case.all_s)),
            ),
        )
        for case in cases
    )
    return Table(
        "Reelway while much waits: every lost stage",
        ("stage", "waiting"),
        ("kills", "lost stages", "kill to next start"),
        rows,
    )
