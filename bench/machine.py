"""What a figure was measured on, and what disturbed it."""

import os
import platform
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STAT = Path("/proc/stat")


class Machine(msgspec.Struct, frozen=True):
    """Facts without which a figure means nothing."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    load_at_start: float
    """Load average over one minute; above the number of idle cores the figures are too low."""


def describe() -> Machine:
    """This machine, now."""
    cpuinfo = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    return Machine(
        processor=models[0] if models else platform.processor(),
        cores=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        python=platform.python_version(),
        load_at_start=round(os.getloadavg()[0], 2),
    )


class Times(msgspec.Struct, frozen=True):
    """Seconds of all processors together since the start of the machine."""

    busy_s: float
    steal_s: float
    """Taken by the host although there was work here."""
    total_s: float


def parse_times(stat: str) -> Times:
    """The first line of /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice."""
    ticks = [int(word) for word in stat.partition("\n")[0].split()[1:]]
    user, nice, system, idle, waiting, irq, softirq, steal = (ticks + [0] * 8)[:8]
    busy = user + nice + system + irq + softirq
    return Times(busy / TICKS_PER_S, steal / TICKS_PER_S, (busy + idle + waiting + steal) / TICKS_PER_S)


class Watch:
    """While a round runs: how much of the machine the host took away, and how much other programs used.

    `with Watch() as watch: …`, then the figures are set. Where there is no /proc they stay 0.
    """

    def __init__(self) -> None:
        self.steal_percent = 0.0
        """Of the processor time of the whole machine."""
        self.other_percent = 0.0
        """Of one core: processes that are not descendants of this one."""
        self.load = 0.0
        """Load average over one minute at the end."""
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._before, self._ours_s, self._began = _times(), family_s(), time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        after, ours_s, self.seconds = _times(), family_s() - self._ours_s, time.monotonic() - self._began
        total_s = after.total_s - self._before.total_s
        if total_s > 0 and self.seconds > 0:
            self.steal_percent = round(100 * (after.steal_s - self._before.steal_s) / total_s, 2)
            other_s = after.busy_s - self._before.busy_s - ours_s
            self.other_percent = round(max(0.0, 100 * other_s / self.seconds), 1)
        self.load = round(os.getloadavg()[0], 2)


def _times() -> Times:
    try:
        return parse_times(STAT.read_text("utf-8"))
    except OSError:
        return Times(0, 0, 0)


def family_s() -> float:
    """Processor time of this process and its descendants, of the ended and awaited ones too."""
    used: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir() if STAT.exists() else ():
        if not entry.name.isdigit():
            continue
        try:
            # The name of the program is in parentheses and may hold spaces.
            words = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(words[1]), []).append(int(entry.name))
        used[int(entry.name)] = sum(map(int, words[11:15])) / TICKS_PER_S
    family, total_s = [os.getpid()], 0.0
    while family:
        pid = family.pop()
        total_s += used.get(pid, 0.0)
        family.extend(children.get(pid, ()))
    return total_s


def processor_s(pid: int) -> float:
    """Processor time of all threads of a living process, exact where the ticks of /proc are steps of 10 ms."""
    # clock_getcpuclockid(3), which Python does not have: the clock of the process with this id.
    return time.clock_gettime((~pid << 3) | 2)


class Memory(msgspec.Struct, frozen=True):
    """What of a process lies in RAM."""

    resident_bytes: int
    peak_bytes: int
    """The most since it began."""


def memory(pid: int) -> Memory:
    """Of a living process."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    facts = dict(line.split(":", 1) for line in status.splitlines())
    # As in `VmRSS:	   13640 kB`.
    return Memory(*(int(facts[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")))
