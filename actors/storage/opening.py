"""Which storage an address names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from actors.storage.interface import Storage, StorageError
from actors.storage.local import LocalStorage


def open_storage(url: str) -> Storage:
    """The storage behind an address (`file:///path`). Raises StorageError for others."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return LocalStorage(Path(unquote(parts.path)))
    raise StorageError(f"The storage {parts.scheme or url!r} is not supported: use file:///path.")
