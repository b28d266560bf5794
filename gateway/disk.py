"""The floor of free disk space, below which nothing new is taken so that running work can end."""

from actors.storage import Storage
from actors.storage.keys import UPLOADS
from actors.storage.room import free_bytes
from gateway.http.problems import Problem


def check_disk(storage: Storage, min_free_bytes: int, needed_bytes: int = 0) -> None:
    """Raises Problem DISK_FULL when less than `min_free_bytes` would be left after `needed_bytes` more."""
    if free_bytes(storage.local_path(UPLOADS)) - needed_bytes < min_free_bytes:
        raise Problem("DISK_FULL")
