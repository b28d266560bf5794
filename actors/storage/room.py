"""Room on the disk: what must be free before work begins that writes.

The floor is looked at when a stage begins. Work that has begun may use what lies below it: that is what it is for.
"""

import asyncio
import errno
import os
from pathlib import Path

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of an OSError that say that there is no room."""


class NoRoom(OSError):
    """Less is free than must be; it reads as the full disk that it is about to be."""

    def __init__(self, path: Path, free_bytes: int, wanted_bytes: int) -> None:
        super().__init__(errno.ENOSPC, f"{free_bytes} bytes are free, {wanted_bytes} must be", str(path))


class Room:
    """Asks for `min_free_bytes` on the file system that is about to be written to."""

    def __init__(self, min_free_bytes: int) -> None:
        self._min_free_bytes = min_free_bytes

    async def check(self, path: Path, needed_bytes: int = 0) -> None:
        """Raises NoRoom unless the floor stays free when `needed_bytes` more are written to `path`."""
        await asyncio.to_thread(self.check_now, path, needed_bytes)

    def check_now(self, path: Path, needed_bytes: int = 0) -> None:
        """The same, blocking: a file system of other machines may take long to answer."""
        free, wanted = free_bytes(path), self._min_free_bytes + needed_bytes
        if free < wanted:
            raise NoRoom(path, free, wanted)


def free_bytes(path: Path) -> int:
    """Bytes that this process may still write to the file system of `path`, which need not be there yet."""
    while True:
        try:
            found = os.statvfs(path)
        except FileNotFoundError:
            path = path.parent
        else:
            return found.f_bavail * found.f_frsize
