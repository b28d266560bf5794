"""What one call costs the server: commands inside the script, microseconds of the script, processor time."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import redis.asyncio

OUTSIDE = frozenset(
    {"auth", "client", "config", "eval", "evalsha", "hello", "info", "monitor", "ping", "script", "select", "slowlog"}
)
"""Commands that clients and the measurement itself send; everything else ran inside a script."""


class Cost(msgspec.Struct, frozen=True):
    """Of the calls between two readings of the server's counters."""

    calls: int
    """Script calls."""
    commands: dict[str, int]
    """What the scripts executed, by the command's name in lower case, most frequent first."""
    script_us: int
    """Microseconds that the scripts took on the server's clock, all calls together."""
    processor_us: int
    """Processor time of the server's main thread, the reading of the counters included (about 100 µs)."""

    @property
    def total(self) -> int:
        """Commands of all scripts together."""
        return sum(self.commands.values())


class Meter:
    """Reads the counters of a server that nobody else uses meanwhile."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client

    async def measure(self, work: Callable[[], Awaitable[Any]]) -> Cost:
        """What `work` costs; it may send commands of its own only if they are in OUTSIDE."""
        await self._client.config_resetstat()
        before_us = await self._processor_us()
        await work()
        after_us = await self._processor_us()
        statistics = await self._client.info("commandstats")
        commands: dict[str, int] = {}
        calls = script_us = 0
        for name, figures in statistics.items():
            command = name.removeprefix("cmdstat_").partition("|")[0].lower()
            if command in {"eval", "evalsha"}:
                calls += int(figures["calls"])
                script_us += int(figures["usec"])
            elif command not in OUTSIDE:
                commands[command] = commands.get(command, 0) + int(figures["calls"])
        ordered = sorted(commands.items(), key=lambda each: (-each[1], each[0]))
        return Cost(calls, dict(ordered), script_us, after_us - before_us)

    async def _processor_us(self) -> int:
        usage = await self._client.info("cpu")
        spent_s = float(usage["used_cpu_user_main_thread"]) + float(usage["used_cpu_sys_main_thread"])
        return round(spent_s * 1_000_000)
