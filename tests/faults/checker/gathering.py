"""Gathers what is left of a run: everything that checks read and no client saw.

at rest ─► first look ─► the collector's time ─► look ─► every job is forgotten ─► two of its walks ─► last look
"""

import asyncio
import contextlib
import os
from pathlib import Path

from msgspec.structs import replace

from tests.faults.checker.reading import read_files, read_jobs, read_keys, read_published
from tests.faults.checker.role_logs import grave_lines
from tests.faults.checker.settling import collected, forget, quiet, walked
from tests.faults.history import Journal, now_s
from tests.faults.house.house import House
from tests.faults.house.process import processes_of
from tests.faults.leavings import Leavings


async def gather(house: House, journal: Journal, patience_s: float) -> Leavings:
    """Looks at an installation whose faults are over and whose processes run. `patience_s` bounds each wait for jobs.

    What does not come to rest is told in `unquiet`, and the rest is read all the same.
    """
    unquiet = [f"not at rest: {what}" for what in await quiet(house, patience_s)]
    jobs = await read_jobs(house)
    keys, servers = await read_keys(house)
    manifests, _ = await asyncio.to_thread(read_published, house)
    unquiet += [f"not collected: {what}" for what in await collected(house)]
    files = await asyncio.to_thread(read_files, house)
    later, digests = await asyncio.to_thread(read_published, house)
    at_0 = await _server_ms_at_0(house)
    # What is not forgotten is seen in what is read afterwards.
    await forget(house, patience_s)
    unquiet += [f"not collected once all was forgotten: {what}" for what in await walked(house)]
    forgotten, _ = await read_keys(house)
    return Leavings(
        jobs=jobs,
        keys=keys,
        files=files,
        manifests=manifests | later,
        digests=digests,
        server_ms_at_0=at_0,
        forgotten=forgotten,
        forgotten_files=await asyncio.to_thread(read_files, house),
        servers=servers,
        unquiet=unquiet,
    )


def finish(leavings: Leavings, exits: dict[str, int], folder: Path) -> Leavings:
    """Adds what is known once the processes were told to end: how they did, what still runs, what they had written."""
    folder = folder.absolute()
    return replace(leavings, exits=exits, processes=still_running(folder), log_errors=grave_lines(folder / "logs"))


def still_running(folder: Path) -> dict[int, str]:
    """Processes of a run: by the variable in their environment, or by the folder as theirs or in their command."""
    found = processes_of(folder)
    above = _ancestors(os.getpid())
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) in above:
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if command and (str(folder) in command or (entry / "cwd").readlink().is_relative_to(folder)):
                found[int(entry.name)] = command
    return {pid: command for pid, command in sorted(found.items()) if pid not in above}


def _ancestors(pid: int) -> set[int]:
    """This process and all above it, whose command lines may name the folder."""
    found: set[int] = set()
    while pid > 1:
        found.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


async def _server_ms_at_0(house: House) -> float:
    """Of the first server: all of them go by the clock of this machine."""
    before_s = now_s()
    seconds, microseconds = await house.servers[0].client.time()
    return seconds * 1000 + microseconds / 1000 - (before_s + now_s()) / 2 * 1000
