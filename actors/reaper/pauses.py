"""Duty: every partition has the installation's pauses."""

from collections.abc import Mapping

import structlog

from actors.kernel.pauses import Pauses

log = structlog.get_logger("reaper")


class PauseCopies:
    """`look` reads the truth, for the whole installation; `run` compares one partition's copy."""

    name = "pauses"
    interval_s = 0.0

    def __init__(self, pauses: Pauses) -> None:
        self._pauses = pauses
        self._notes: Mapping[str, bytes] = {}

    async def look(self) -> None:
        self._notes = await self._pauses.notes()

    async def run(self, partition: str) -> None:
        """A difference may mean that somebody has paused or resumed since `look`, so the truth is read again first."""
        copied = await self._pauses.copied(partition)
        if copied == self._notes:
            return
        await self.look()
        if copied != self._notes:
            await self._pauses.copy(partition, self._notes)
            log.info("pauses.copied", partition=partition, stages=sorted(self._notes))
