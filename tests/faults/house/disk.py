"""The disk of a house, where the kernel lets us mount one."""

from pathlib import Path

from tests.small_disk import CannotMount, SmallDisk

DISK_BYTES = 96 * 1024 * 1024
NAMES = 100_000


def make_disk(path: Path) -> SmallDisk | None:
    """None where this user cannot mount a file system; then there is no folder either."""
    path.mkdir(parents=True)
    try:
        return SmallDisk(path, DISK_BYTES, NAMES)
    except CannotMount:
        path.rmdir()
        return None


def close_disk(disk: SmallDisk) -> None:
    """Unmounts it; everything on it is gone, and its folder."""
    disk.unmount()
    disk.path.rmdir()
