"""Processes that are killed, stopped for a while or told to end. The house starts again whatever has ended."""

import asyncio
import contextlib
import os
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

from tests.faults.house.house import House
from tests.faults.house.process import RoleProcess
from tests.faults.house.times import DRAIN_GRACE_S, KILL_GRACE_S, LEASE_S
from tests.faults.injection.claims import claim, unclaimed
from tests.faults.injection.fault import Blow, Fault, NothingToHit, comes_true
from tests.faults.plan import Profile

GONE_S = 5.0
"""From SIGKILL until the house has seen it."""
DRAINED_S = DRAIN_GRACE_S + KILL_GRACE_S + 4 * LEASE_S + GONE_S
"""From SIGTERM until a worker has ended that may be frozen meanwhile."""
LOOKS_FOR_CHILDREN_EVERY_S = 0.05


def running(house: House) -> list[RoleProcess]:
    return [process for process in house.processes if process.pid is not None]


def workers(house: House) -> list[RoleProcess]:
    """Those that take jobs."""
    return [process for process in running(house) if "gateway" not in process.roles]


def _hit(process: RoleProcess, number: int) -> None:
    if not process.signal(number):
        raise NothingToHit(f"{process.name} was down")


async def _gone(process: RoleProcess, pid: int | None, within_s: float) -> None:
    """Returns when it is not this process any more."""
    if not await comes_true(lambda: process.pid != pid, within_s):
        raise NothingToHit(f"{process.name} did not end within {within_s:.0f} s")


async def _kill(blow: Blow, victims: list[RoleProcess]) -> None:
    process = blow.choose(victims)
    pid = process.pid
    blow.begins(process.name)
    _hit(process, SIGKILL)
    await _gone(process, pid, GONE_S)


class Kill(Fault):
    """SIGKILL of anybody."""

    name = "kill"
    weight = 4.0

    async def strike(self, blow: Blow) -> None:
        await _kill(blow, running(blow.house))


class KillWorker(Fault):
    """SIGKILL of somebody who may be working."""

    name = "kill_worker"
    weight = 7.0

    async def strike(self, blow: Blow) -> None:
        await _kill(blow, workers(blow.house))


class Freeze(Fault):
    """SIGSTOP and, later, SIGCONT: short enough to be noticed by nobody, or long enough to have lost every lease."""

    name = "freeze"
    weight = 5.0
    bounds_s = (0.3 * LEASE_S, 4 * LEASE_S)

    async def strike(self, blow: Blow) -> None:
        process = blow.choose(unclaimed(running(blow.house), self.name))
        with claim(process, self.name):
            blow.begins(process.name)
            try:
                _hit(process, SIGSTOP)
                await asyncio.sleep(blow.lasts_s)
            finally:
                # It may have been killed and started again meanwhile: then this means nothing to it.
                process.signal(SIGCONT)


class Terminate(Fault):
    """SIGTERM: the drain runs, as in a deployment."""

    name = "terminate"
    weight = 4.0

    async def strike(self, blow: Blow) -> None:
        process = blow.choose(running(blow.house))
        pid = process.pid
        blow.begins(process.name)
        _hit(process, SIGTERM)
        await _gone(process, pid, DRAINED_S)


class TerminateTwice(Fault):
    """A second SIGTERM while the drain runs, if it still does."""

    name = "terminate_twice"
    weight = 2.0
    bounds_s = (0.05, 1.0)

    async def strike(self, blow: Blow) -> None:
        await _again(blow, blow.lasts_s, SIGTERM, DRAINED_S)


class KillInDrain(Fault):
    """The drain is cut short by an impatient supervisor."""

    name = "kill_in_drain"
    weight = 2.0
    bounds_s = (0.3, 0.3)

    async def strike(self, blow: Blow) -> None:
        await _again(blow, blow.lasts_s, SIGKILL, GONE_S)


async def _again(blow: Blow, after_s: float, number: int, within_s: float) -> None:
    """SIGTERM, and `number` to whoever is still there then."""
    process = blow.choose(workers(blow.house))
    pid = process.pid
    blow.begins(process.name)
    _hit(process, SIGTERM)
    # The next one with this name has done nothing to deserve the second signal.
    if not await comes_true(lambda: process.pid != pid, after_s):
        _hit(process, number)
    await _gone(process, pid, within_s)


class KillFfmpeg(Fault):
    """SIGKILL of a program that a transcode actor runs, and nobody else. Waits until there is one."""

    name = "kill_ffmpeg"
    weight = 3.0
    bounds_s = (2.0, 5.0)

    def possible(self, profile: Profile) -> bool:
        return profile.ffmpeg != "none"

    async def strike(self, blow: Blow) -> None:
        ends_at_s = asyncio.get_running_loop().time() + blow.lasts_s
        while True:
            actors = [process for process in running(blow.house) if "transcode" in process.roles]
            found = [(actor, child) for actor in actors for child in descendants(actor.pid)]
            if found or asyncio.get_running_loop().time() > ends_at_s:
                break
            await asyncio.sleep(LOOKS_FOR_CHILDREN_EVERY_S)
        actor, child = blow.choose(found)
        blow.begins(actor.name, detail=f"its process {child}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, SIGKILL)


def descendants(pid: int | None) -> list[int]:
    """All processes below this one, by the parents that /proc names."""
    parents = _parents()
    return sorted(child for child in parents if pid is not None and _is_below(child, pid, parents))


def _is_below(child: int, ancestor: int, parents: dict[int, int]) -> bool:
    above = parents.get(child, 0)
    while above not in (0, ancestor):
        above = parents.get(above, 0)
    return above == ancestor


def _parents() -> dict[int, int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                # The second field is the name, in parentheses and with whatever characters it likes.
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    return parents
