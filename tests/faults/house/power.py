"""What a power failure leaves of an append-only file, and how far back the loss goes.

A server with `appendfsync everysec` may lose its last second. Killing its process alone shows little of that, since the
kernel still writes what it was given; so the file is cut back to what it was a second earlier. Two things are noted
while the server runs: the file's size with the time, and in the file itself marks that name the time before they were
sent. All that was acknowledged before the last mark in the file lies before that mark, whatever the disk was doing:
while an fsync is slow, a server keeps acknowledged writes in its memory, and then even a killed process loses them.
"""

import mmap
import os
from collections import deque
from pathlib import Path

from redis.crc import key_slot

MARK_SCRIPT = "redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], ARGV[1]) redis.call('DEL', KEYS[1])"
"""Leaves its argument in the append-only file and nothing else. The first write shrinks: memory may be full."""
_KEPT_SIZES = 600


def mark_key(first_slot: int, last_slot: int) -> str:
    """A key for the marks of a server that serves these slots."""
    number = 0
    while not first_slot <= key_slot(f"reelway-faults:mark:{number}".encode()) <= last_slot:
        number += 1
    return f"reelway-faults:mark:{number}"


class AppendOnlyFile:
    """The one that a server writes to, in the layout of its version."""

    def __init__(self, directory: Path, mark_key: str) -> None:
        self.mark_key = mark_key
        self._directory = directory
        self._started_s = 0.0
        self._sizes: deque[tuple[float, int]] = deque(maxlen=_KEPT_SIZES)
        self._noted = 0
        """Inode of the file that the sizes are of."""

    @property
    def path(self) -> Path:
        """Since Redis 7.0 there are several; the last one grows."""
        growing = [*self._directory.glob("appendonlydir/*.incr.aof")]
        if growing:
            return max(growing, key=lambda path: int(path.name.split(".")[-3]))
        return self._directory / "appendonly.aof"

    def begin(self, started_s: float) -> None:
        """What it holds now is on the disk for good, with everything that was acknowledged before this time.

        So it is once a server that was started at this time has loaded it, or written it anew."""
        self._started_s = started_s
        self._sizes.clear()
        self.note(started_s)

    def note(self, at_s: float) -> None:
        """Its size is at least this at this time."""
        found = self.path.stat()
        if found.st_ino != self._noted:
            # It is being written anew. A switch to another file is a safe one: the server sees to that.
            self._sizes.clear()
            self._noted = found.st_ino
        self._sizes.append((at_s, found.st_size))

    def cut(self, before_s: float) -> None:
        """Leaves what it held at the last time noted before this one. Nobody may have it open."""
        sizes = [size for at_s, size in self._sizes if at_s <= before_s]
        os.truncate(self.path, sizes[-1] if sizes else self._sizes[0][1])

    def holds_until_s(self) -> float:
        """Everything that was acknowledged before this time is in it."""
        return max(self._last_mark_s(), self._started_s)

    def _last_mark_s(self) -> float:
        name = self.mark_key.encode() + b"\r\n$"
        with self.path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return 0.0
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                end = len(content)
                while (found := content.rfind(name, 0, end)) >= 0:
                    # A DEL of the key ends with its name; a SET goes on with the length of the value.
                    length, _, rest = content[found + len(name) : found + len(name) + 64].partition(b"\r\n")
                    value, end_of_value, _ = rest.partition(b"\r\n")
                    if end_of_value and length.isdigit() and len(value) == int(length):
                        return float(value)
                    end = found
        return 0.0
