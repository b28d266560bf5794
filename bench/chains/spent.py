"""Processor time that was spent, by Redis and on each core, between two readings."""

from pathlib import Path

import msgspec

from bench.machine import STAT, TICKS_PER_S
from bench.server import Server


class Spent(msgspec.Struct, frozen=True):
    """Processor time of one redis-server so far."""

    total_s: float
    """With its background threads."""
    main_s: float
    """Of the one thread that carries out commands."""

    def since(self, before: "Spent") -> "Spent":
        return Spent(self.total_s - before.total_s, self.main_s - before.main_s)


def spent(server: Server) -> Spent:
    """Read from the server itself."""
    usage = server.client.info("cpu")
    total_s = float(usage["used_cpu_user"]) + float(usage["used_cpu_sys"])
    if "used_cpu_user_main_thread" not in usage:
        return Spent(total_s, total_s)
    return Spent(total_s, float(usage["used_cpu_user_main_thread"]) + float(usage["used_cpu_sys_main_thread"]))


class Core(msgspec.Struct, frozen=True):
    """One core since the start of the machine."""

    busy_s: float
    total_s: float


def parse_cores(stat: str) -> dict[int, Core]:
    """The lines `cpu0`, `cpu1`, … of /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice."""
    found = {}
    for line in stat.splitlines():
        name, *words = line.split()
        if name.startswith("cpu") and name[3:].isdecimal():
            ticks = [int(word) for word in words[:8]]
            idle = ticks[3] + ticks[4]
            found[int(name[3:])] = Core((sum(ticks) - idle) / TICKS_PER_S, sum(ticks) / TICKS_PER_S)
    return found


def read_cores(stat: Path = STAT) -> dict[int, Core]:
    """Now; empty where there is no /proc."""
    return parse_cores(stat.read_text("utf-8")) if stat.exists() else {}


def busy_percent(before: dict[int, Core], after: dict[int, Core]) -> dict[int, float]:
    """How busy each core was, whoever used it; what the host took away counts as busy."""
    return {
        number: 100 * (after[number].busy_s - core.busy_s) / (after[number].total_s - core.total_s)
        for number, core in before.items()
        if number in after and after[number].total_s > core.total_s
    }
