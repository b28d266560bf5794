"""A source that was uploaded: linked into the work area, so that the upload may expire meanwhile."""

from collections.abc import Callable
from pathlib import Path

from actors.media.errors import MediaError
from actors.media.task import SourceObject
from actors.storage import Storage
from actors.storage.keys import upload_data
from actors.storage.uploads import read_upload


async def bring_upload(
    storage: Storage,
    upload: str,
    tenant: str,
    target: str,
    on_bytes: Callable[[int, int | None], None],
    before_copy: Callable[[Path, int], None],
) -> SourceObject:
    """Link the upload to the key `target` and check every byte against what the gateway received.

    `before_copy` is asked only where it cannot be linked, see Storage.link_or_copy. Raises MediaError
    UPLOAD_NOT_FOUND or UPLOAD_DAMAGED.
    """
    meta = await read_upload(storage, upload)
    if meta is None or meta.tenant != tenant:
        raise MediaError("UPLOAD_NOT_FOUND", upload)
    try:
        await storage.link_or_copy(upload_data(upload), target, before_copy)
    except FileNotFoundError as error:
        raise MediaError("UPLOAD_NOT_FOUND", str(error)) from error
    found = await storage.digest(target, lambda done: on_bytes(done, meta.size_bytes))
    if (found.size_bytes, found.sha256) != (meta.size_bytes, meta.sha256):
        raise MediaError("UPLOAD_DAMAGED", f"{found.size_bytes} of {meta.size_bytes} bytes")
    return SourceObject(path=target, name=meta.name, size_bytes=meta.size_bytes, sha256=meta.sha256)
