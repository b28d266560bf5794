"""Where files live: one interface, and the local directory behind it."""

from actors.storage.interface import Digest, Entry, Storage, StorageError
from actors.storage.opening import open_storage

__all__ = ["Digest", "Entry", "Storage", "StorageError", "open_storage"]
