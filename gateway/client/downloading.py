"""Fetches an output into a file: taken up where it broke off, and checked."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import aiohttp

from gateway.client.address import path_on_gateway
from gateway.client.documents import Output
from gateway.client.errors import OutputDamaged
from gateway.client.patience import Lost
from gateway.client.transport import PIECE_BYTES, Transport, lost, read_piece

_TRIES_FOR_A_WHOLE_FILE = 2
_WRITTEN_AT_ONCE_BYTES = 4 * PIECE_BYTES


class Download:
    """One output on its way into the file `part`, whose bytes from an earlier time are kept if they belong to it."""

    def __init__(self, transport: Transport, output: Output, part: Path, moved: Callable[[int], None] | None) -> None:
        self._transport = transport
        self._output = output
        self._part = part
        self._moved = moved
        # The gateway's own entity tag of the file. Another server, to which it may redirect, has its own.
        self._entity_tag = f'"{output.sha256}"'

    async def run(self) -> None:
        """Returns when the file is whole and durable. Raises ProblemError, Unreachable, OutputDamaged or OSError."""
        for _ in range(_TRIES_FOR_A_WHOLE_FILE):
            with self._part.open("ab") as file:
                await self._fill(file)
            if await asyncio.to_thread(self._is_whole):
                return
            self._part.unlink()
        raise OutputDamaged(f"{self._output.name} arrived twice with another size or digest than its job says.")

    async def _fill(self, file: BinaryIO) -> None:
        patience = await self._transport.patience()
        while (have_bytes := file.tell()) < self._output.size_bytes:
            try:
                await self._append(file, have_bytes)
                failure = lost("the download ended early")
            except Lost as cut:
                failure = cut
            if file.tell() > have_bytes:
                patience.refresh()
            if file.tell() < self._output.size_bytes:
                await patience.pause(failure)
        await asyncio.to_thread(_make_durable, file)

    async def _append(self, file: BinaryIO, have_bytes: int) -> None:
        headers = {"Accept": "*/*"}
        if have_bytes:
            # If it is another file by now, all of it comes instead of a part that does not fit.
            headers |= {"Range": f"bytes={have_bytes}-", "If-Range": self._entity_tag}
        path = path_on_gateway(self._output.url)
        async with self._transport.exchange("GET", path, headers=headers, is_redirected=True) as response:
            self._entity_tag = response.headers.get("ETag", self._entity_tag)
            if have_bytes and not _continues(response, have_bytes):
                file.seek(0)
                file.truncate()
            await self._write(file, response)

    async def _write(self, file: BinaryIO, response: aiohttp.ClientResponse) -> None:
        gathered = bytearray()
        try:
            while piece := await read_piece(response):
                gathered += piece
                if file.tell() + len(gathered) > self._output.size_bytes:
                    break  # another file; however long it is, it is not wanted
                if len(gathered) >= _WRITTEN_AT_ONCE_BYTES:
                    await self._put(file, bytes(gathered))
                    gathered.clear()
        finally:
            await self._put(file, bytes(gathered))

    async def _put(self, file: BinaryIO, data: bytes) -> None:
        await asyncio.to_thread(file.write, data)
        if self._moved is not None:
            self._moved(file.tell())

    def _is_whole(self) -> bool:
        with self._part.open("rb") as file:
            return self._part.stat().st_size == self._output.size_bytes and (
                hashlib.file_digest(file, "sha256").hexdigest() == self._output.sha256
            )


def _continues(response: aiohttp.ClientResponse, have_bytes: int) -> bool:
    """Whether the answer is what follows the bytes that are there."""
    return response.status == 206 and response.headers.get("Content-Range", f"bytes {have_bytes}-").startswith(
        f"bytes {have_bytes}-"
    )


def _make_durable(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
