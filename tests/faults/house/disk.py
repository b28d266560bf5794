"""A disk that can be full: a small file system in memory, where the kernel lets us mount one."""

import errno
import os
import subprocess
from pathlib import Path

DISK_BYTES = 96 * 1024 * 1024
_PIECES_BYTES = (1024 * 1024, 4096)


class Disk:
    """The storage lies on it, beside the ballast that fills it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Nothing more can be written. What others delete makes room again."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in _PIECES_BYTES:
                _write_all(ballast.fileno(), bytes(size))

    def empty(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmounts it; everything on it is gone. At once, or when the last file on it is closed."""
        for lazily in ((), ("--lazy",)):
            if _call("umount", *lazily, str(self.path)):
                break
        self.path.rmdir()


def make_disk(path: Path) -> Disk | None:
    """None where this user cannot mount a file system."""
    if os.geteuid() != 0:
        return None
    path.mkdir(parents=True)
    if _call("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "reelway-faults", str(path)):
        return Disk(path)
    path.rmdir()
    return None


def _call(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _write_all(descriptor: int, piece: bytes) -> None:
    try:
        while os.write(descriptor, piece) == len(piece):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
