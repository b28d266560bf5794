"""What is kept about an upload next to its bytes."""

from datetime import datetime

import msgspec

from actors.storage.interface import Storage
from actors.storage.keys import upload_meta


class UploadMeta(msgspec.Struct, frozen=True, kw_only=True):
    """`meta.json` of an upload. It is written after the bytes are durable, so where it exists the
    upload is whole. Times are UTC."""

    id: str
    name: str
    size_bytes: int
    sha256: str
    created_at: datetime
    expires_at: datetime
    tenant: str


async def read_upload(storage: Storage, upload: str) -> UploadMeta | None:
    """The upload's facts; None when there is no such upload or the text is not an id."""
    try:
        key = upload_meta(upload)
    except ValueError:
        return None
    try:
        return msgspec.json.decode(await storage.read(key), type=UploadMeta)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


async def write_upload(storage: Storage, meta: UploadMeta) -> None:
    """Record an upload whose bytes are already durable under `upload_data(meta.id)`."""
    await storage.write_atomic(upload_meta(meta.id), msgspec.json.encode(meta))
