"""Pausing a stage: nothing more is taken for it; what runs goes on, what comes waits.

The truth is `rw:{sys}:paused`. `take` may read only its own partition, so every partition has a copy, written
by whoever pauses or resumes and compared by each pass of the reaper.
"""

from collections.abc import Mapping

import msgspec
import redis.asyncio

from actors.kernel.keys import Partitions
from actors.kernel.scripts import Argument, text
from actors.kernel.system_scripts import SYSTEM, SystemScripts

PAUSED = f"{SYSTEM}paused"


class Pause(msgspec.Struct, frozen=True):
    """One paused stage."""

    stage: str
    by: str
    """Who paused it."""
    at_ms: int
    """Server time."""
    reason: str


class _Note(msgspec.Struct, frozen=True):
    by: str = ""
    at: int = 0
    reason: str = ""


class Pauses:
    """The pauses of an installation. Every call is harmless when repeated; errors of the connection pass."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions) -> None:
        self._client = client
        self._scripts = SystemScripts(client)
        self._partitions = partitions

    async def pause(self, stage: str, by: str, reason: str = "") -> Pause:
        """Workers take nothing more for `stage` from the next `take` on. A stage may be paused again, anew."""
        arguments: list[Argument] = [stage, msgspec.json.encode(by), msgspec.json.encode(reason)]
        note = await self._scripts.call("pause", [PAUSED], arguments)
        await self._spread()
        return _read(stage, note)

    async def resume(self, stage: str) -> bool:
        """False when the stage was not paused. Workers notice within about a second."""
        resumed = await self._client.hdel(PAUSED, stage)
        await self._spread()
        return bool(resumed)

    async def list(self) -> list[Pause]:
        """By stage."""
        return [_read(stage, note) for stage, note in sorted((await self.notes()).items())]

    async def notes(self) -> Mapping[str, bytes]:
        """Stage to its JSON object {by, at, reason}, as it is stored."""
        return await self._read_notes(PAUSED)

    async def copied(self, partition: str) -> Mapping[str, bytes]:
        """The same as one partition has it, where `take` reads it."""
        return await self._read_notes(self._copy_of(partition))

    async def copy(self, partition: str, notes: Mapping[str, bytes]) -> None:
        """Makes `notes` the pauses of one partition."""
        arguments: list[Argument] = [part for stage, note in sorted(notes.items()) for part in (stage, note)]
        await self._scripts.call("copy_pauses", [self._copy_of(partition)], arguments)

    def _copy_of(self, partition: str) -> str:
        return f"{self._partitions.keys(partition).root}paused"

    async def _read_notes(self, key: str) -> dict[str, bytes]:
        notes: dict[bytes, bytes] = await self._client.hgetall(key)  # type: ignore[assignment]
        return {text(stage): note for stage, note in notes.items()}

    async def _spread(self) -> None:
        notes = await self.notes()
        for partition in self._partitions:
            await self.copy(partition, notes)


def _read(stage: str, note: bytes) -> Pause:
    read = msgspec.json.decode(note, type=_Note)
    return Pause(stage, read.by, read.at, read.reason)
