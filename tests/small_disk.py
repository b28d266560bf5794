"""A file system of a few MiB that a test fills to the brim: a tmpfs, which only root can mount."""

import os
import subprocess
from pathlib import Path

_FILLER = ".filler"
_NAME = ".name-"
_PIECE = b"\0" * 4096


class CannotMount(Exception):
    """This machine, or this user, cannot mount a tmpfs; the text says why."""


class SmallDisk:
    """`folder` must be there and be empty; it is the disk until `unmount`."""

    def __init__(self, folder: Path, size_bytes: int = 8 << 20, names: int = 400) -> None:
        self.path = folder
        options = f"size={size_bytes},nr_inodes={names},mode=0777"
        command = ["mount", "-t", "tmpfs", "-o", options, "reelway-test", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise CannotMount(str(error)) from error
        if done.returncode != 0:
            raise CannotMount(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, *, but_bytes: int = 0) -> None:
        """Leaves `but_bytes` (whole pages) free and no more, with whatever lies there already."""
        descriptor = os.open(self.path / _FILLER, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            size_bytes = 0
            while True:
                try:
                    size_bytes += os.write(descriptor, _PIECE)
                except OSError:
                    break
            os.ftruncate(descriptor, max(0, size_bytes - but_bytes))
        finally:
            os.close(descriptor)

    def fill_names(self) -> None:
        """Leaves no room for another file or folder, as a file system whose directories cannot grow."""
        for number in range(1 << 20):
            try:
                os.close(os.open(self.path / f"{_NAME}{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            except OSError:
                return

    def empty(self) -> None:
        """Takes away what the other two wrote, and nothing else."""
        for path in (self.path / _FILLER, *self.path.glob(f"{_NAME}*")):
            path.unlink(missing_ok=True)

    def unmount(self) -> None:
        # Lazily: a process of the test that is just ending may still use it.
        subprocess.run(["umount", "-l", str(self.path)], capture_output=True, check=False)
