"""Receives a file: to disk piece by piece, with its digest, within its bounds, and whole or not at all.

The bytes go into a hidden file of the upload's own folder. Only when they are complete and durable is it renamed to
its name, and only then is the upload recorded, so nobody ever sees a part. Whatever ends the request early, the
folder goes; a process that dies in between leaves a folder without a record, which the collector deletes.
"""

import asyncio
import hashlib
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from actors.storage.keys import upload_data, upload_folder
from actors.storage.uploads import UploadMeta, write_upload
from gateway.disk import check_disk
from gateway.http.context import Context
from gateway.http.problems import Problem
from gateway.http.requests import send_continue
from gateway.ids import new_upload_id

PIECE_BYTES = 1024 * 1024
LOOK_AT_DISK_AFTER_BYTES = 64 * 1024 * 1024


async def receive_upload(request: web.Request, context: Context, tenant: str, name: str) -> UploadMeta:
    """The upload, durable and recorded. Raises Problem; then nothing of it is left."""
    settings = context.settings.gateway
    announced = request.content_length
    if announced is not None and announced > settings.upload_max_bytes:
        raise Problem("UPLOAD_TOO_LARGE", headers={"Connection": "close"})
    if announced == 0:
        raise Problem("UPLOAD_EMPTY")
    min_free_bytes = context.settings.storage.min_free_bytes
    check_disk(context.storage, min_free_bytes, announced or 0)
    await send_continue(request)
    upload = new_upload_id(context.partitions, tenant)
    folder = await context.storage.make_folder(upload_folder(upload))
    try:
        draft = _Draft(folder, context.storage.local_path(upload_data(upload)))
        try:
            await _receive(request, context, draft)
            await asyncio.to_thread(draft.publish)
        finally:
            draft.close()
        created_at = datetime.now(UTC)
        meta = UploadMeta(
            id=upload,
            name=name,
            size_bytes=draft.size_bytes,
            sha256=draft.sha256,
            created_at=created_at,
            expires_at=created_at + timedelta(seconds=context.settings.storage.uploads_s),
            tenant=tenant,
        )
        await write_upload(context.storage, meta)
    except BaseException:
        await asyncio.shield(context.storage.delete(upload_folder(upload)))
        raise
    return meta


class _Draft:
    """The hidden file. Its methods block and run in a thread, one at a time."""

    def __init__(self, folder: Path, target: Path) -> None:
        self._folder = folder
        self._target = target
        self._path = folder / f".{target.name}"
        self._file: BinaryIO = self._path.open("xb")
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self._digest.update(piece)
        self.size_bytes += len(piece)

    def publish(self) -> None:
        """Makes the bytes durable under their name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._path.rename(self._target)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        # What is still buffered after a full disk cannot be flushed either.
        with suppress(OSError):
            self._file.close()


async def _receive(request: web.Request, context: Context, draft: _Draft) -> None:
    settings = context.settings.gateway
    next_look_bytes = LOOK_AT_DISK_AFTER_BYTES
    gathered = bytearray()
    while True:
        piece = await _read(request, settings.upload_idle_s)
        gathered += piece
        if draft.size_bytes + len(gathered) > settings.upload_max_bytes:
            raise Problem("UPLOAD_TOO_LARGE", headers={"Connection": "close"})
        if len(gathered) >= PIECE_BYTES or (not piece and gathered):
            context.metrics.upload_bytes.inc(len(gathered))
            await asyncio.to_thread(draft.write, bytes(gathered))
            gathered.clear()
        if draft.size_bytes >= next_look_bytes:
            next_look_bytes += LOOK_AT_DISK_AFTER_BYTES
            check_disk(context.storage, context.settings.storage.min_free_bytes)
        if not piece:
            break
    if draft.size_bytes == 0:
        raise Problem("UPLOAD_EMPTY")


async def _read(request: web.Request, idle_s: float) -> bytes:
    """The next bytes, or nothing at the end. A body that is cut off is no end."""
    try:
        async with asyncio.timeout(idle_s):
            return await request.content.readany()
    except TimeoutError:
        raise Problem("REQUEST_TIMEOUT", headers={"Connection": "close"}) from None
    except (ClientPayloadError, HttpProcessingError, ConnectionError):
        raise Problem("UPLOAD_INCOMPLETE", headers={"Connection": "close"}) from None
