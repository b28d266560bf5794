"""What every storage can do. Keys are made by `actors.storage.keys`."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple, Protocol


class StorageError(Exception):
    """The storage cannot be used as configured."""


class Digest(NamedTuple):
    """Size in bytes and SHA-256 (hex) of a file."""

    size_bytes: int
    sha256: str


class Entry(NamedTuple):
    """A file or folder directly below a prefix. `modified_s` is seconds since the epoch."""

    name: str
    is_folder: bool
    size_bytes: int
    modified_s: float


class Storage(Protocol):
    """Files under keys. Missing files raise FileNotFoundError, a full disk raises OSError ENOSPC."""

    def local_path(self, key: str) -> Path:
        """The file's path on this machine; whoever writes there creates the folder first."""

    async def make_folder(self, key: str) -> Path:
        """Create a folder if it is not there and return its local path."""

    async def read(self, key: str) -> bytes:
        """The whole of a small file."""

    def open_read(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a file from `start`, at most `length`, in pieces."""

    async def write_atomic(self, key: str, data: bytes) -> None:
        """Write a small file so that it is there whole and durable, or not at all."""

    async def link_or_copy(
        self, source: str, target: str, before_copy: Callable[[Path, int], None] | None = None
    ) -> None:
        """Make `target` the same bytes as `source`, durable, without moving it. An existing
        target is replaced. `before_copy` is called, with the folder and the bytes that it will
        take, only where nothing can be linked; what it raises is passed on."""

    async def sync_folder(self, key: str) -> None:
        """Make the names in a folder durable."""

    async def digest(self, key: str, on_bytes: Callable[[int], None] | None = None) -> Digest:
        """Size and SHA-256 of a file, read from its first to its last byte. `on_bytes` hears how far it is."""

    async def list(self, key: str) -> list[Entry]:
        """What lies directly in a folder; nothing when it does not exist."""

    async def exists(self, key: str) -> bool:
        """Whether there is a file or folder with that key."""

    async def delete(self, key: str) -> None:
        """Delete a file, or a folder with all it holds; nothing happens when it is not there. It
        works on a full disk."""

    async def delete_empty(self, key: str) -> None:
        """Delete a folder if nothing is in it."""

    async def empty_trash(self) -> None:
        """Delete what an interrupted delete left behind."""
