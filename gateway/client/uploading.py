"""Sends a file, or bytes, as the body of one request; from the beginning again when a connection is lost."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

from gateway.client.errors import SourceChanged
from gateway.client.patience import Lost
from gateway.client.transport import PIECE_BYTES, SILENCE_S, Transport, lost, read_all

Moved = Callable[[int], None]
"""Hears how many bytes have gone or come so far; the number falls when something begins again."""


async def upload(transport: Transport, source: Path | bytes, name: str, moved: Moved | None) -> bytes:
    """`POST /v1/uploads`: its answer. Raises ProblemError, Unreachable, SourceChanged, or OSError while reading."""
    # A file's name may be any bytes; what is no text travels as question marks.
    path = f"/v1/uploads?{urlencode({'name': name.encode('utf-8', 'replace').decode()})}"
    patience = await transport.patience()
    while True:
        try:
            with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
                return await _Sending(file, moved or _ignore).send(transport, path)
        except Lost as cut:
            failure = cut
        await patience.pause(failure)


class _Sending:
    """One try."""

    def __init__(self, file: BinaryIO, moved: Moved) -> None:
        self._file = file
        self._moved = moved
        self._size_bytes = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._failure: Exception | None = None

    async def send(self, transport: Transport, path: str) -> bytes:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(self._size_bytes)}
        try:
            async with asyncio.timeout(SILENCE_S) as silence:
                body = self._pieces(silence)
                async with transport.exchange("POST", path, body=body, headers=headers) as response:
                    return await read_all(response)
        except TimeoutError:
            failure: Exception = lost(f"it took nothing for {SILENCE_S:.0f} s")
        except Lost as cut:
            failure = cut
        raise self._failure or failure

    async def _pieces(self, silence: asyncio.Timeout) -> AsyncIterator[bytes]:
        """What goes wrong here is kept: the library would tell it as a lost connection."""
        loop = asyncio.get_running_loop()
        sent_bytes = 0
        while sent_bytes < self._size_bytes:
            try:
                piece = await asyncio.to_thread(self._file.read, min(PIECE_BYTES, self._size_bytes - sent_bytes))
                if not piece:
                    raise SourceChanged("The file became shorter while it was read.")
            except (OSError, SourceChanged) as error:
                self._failure = error
                raise
            yield piece
            sent_bytes += len(piece)
            if not silence.expired():
                silence.reschedule(loop.time() + SILENCE_S)
            self._moved(sent_bytes)


def _ignore(_bytes: int) -> None:
    pass
