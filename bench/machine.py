"""What a figure was measured on."""

import os
import platform
from pathlib import Path

import msgspec


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
