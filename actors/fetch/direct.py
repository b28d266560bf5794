"""Reading a file behind an address, whole or not at all.

A cut connection is resumed with Range and If-Range, so that bytes of two versions are never mixed:
a server that answers 200, another range or another version makes it start from the beginning.
"""

import asyncio
import hashlib
import os
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import aiohttp

from actors.fetch.connection import MOST_REDIRECTS, Guard
from actors.fetch.response import UNKNOWN_VERSION, Version, length_of, part_of, retry_after_s, same_version, version_of
from actors.fetch.sniff import SNIFF_BYTES, Content, sniff
from actors.media.errors import MediaError, error_table
from actors.media.names import name_from_address

TRIES_WITHOUT_PROGRESS = 4
_FIRST_DELAY_S = 0.25
_PIECE_BYTES = 1024 * 1024
_LOST_BYTES = 512 * 1024
"""What the client may lose of the data before a break: breaks at the same byte look so far apart."""

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes that are here and their total, if known."""
BeforeBody = Callable[[int], Awaitable[None]]
"""Called with the bytes of the whole file, where the server tells them, before the first of them is written."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that arrived whole. `name` is what the server calls it, possibly empty."""

    size_bytes: int
    sha256: str
    name: str


@dataclass(frozen=True, slots=True)
class NotAFile:
    """The address leads to a web page or a playlist, of which nothing was kept."""

    content: Content


@dataclass(slots=True)
class _State:
    """What has arrived so far. `breaks` are the positions at which the connection ended early."""

    file: BinaryIO
    position: int = 0
    furthest: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    version: Version = UNKNOWN_VERSION
    name: str = ""
    tries: int = 0
    breaks: list[int] = field(default_factory=list)

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.position = 0
        self.digest = hashlib.sha256()
        self.version = UNKNOWN_VERSION

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.digest.update(data)


class _Broken(Exception):
    """The connection ended early, or the server now has another version."""

    def __init__(self, code: str, detail: str, *, ended: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.ended = ended
        """The server itself ended the body before its length."""


async def download(
    client: aiohttp.ClientSession,
    guard: Guard,
    address: str,
    target: Path,
    *,
    max_bytes: int,
    on_bytes: OnBytes,
    before_body: BeforeBody,
    headers: Mapping[str, str] | None = None,
) -> Downloaded | NotAFile:
    """Write what the address holds to `target`, durable.

    Raises MediaError with the code of what went wrong; a code of class transient means that
    several tries within this call did not help. What `before_body` raises is passed on.
    """
    with target.open("wb") as file:
        state = _State(file)
        while True:
            try:
                found = await _read(client, address, state, max_bytes, on_bytes, before_body, headers or {})
            except _Broken as broken:
                await _pause(state, broken)
            except aiohttp.ClientError as error:
                await _pause(state, _broken_by(error, guard))
            except TimeoutError as error:
                await _pause(state, _Broken("NET_TEMP", f"the server was silent: {error}"))
            else:
                if isinstance(found, NotAFile):
                    return found
                await asyncio.to_thread(_sync, file)
                return Downloaded(state.position, state.digest.hexdigest(), state.name)


async def _read(
    client: aiohttp.ClientSession,
    address: str,
    state: _State,
    max_bytes: int,
    on_bytes: OnBytes,
    before_body: BeforeBody,
    headers: Mapping[str, str],
) -> NotAFile | None:
    """One request. Returns when the body has arrived to its end."""
    if state.version.validator is None:
        state.restart()
    asked = dict(headers)
    if state.position > 0:
        asked["Range"] = f"bytes={state.position}-"
        asked["If-Range"] = state.version.validator or ""
    async with client.get(address, headers=asked, max_redirects=MOST_REDIRECTS) as response:
        total = _accept(response, state)
        if total is not None and total > max_bytes:
            raise MediaError("TOO_LARGE", f"{total} bytes")
        state.name = _name(response) or state.name
        if state.position == 0:
            start = await _first_bytes(response.content)
            encoded = response.headers.get("Content-Encoding", "identity") != "identity"
            content = sniff(response.headers.get("Content-Type", ""), start, encoded=encoded)
            if content is Content.PAGE_AS_MEDIA:
                raise MediaError(
                    "NOT_MEDIA",
                    "HTML with a media type",
                    message="The site returned a web page instead of a media file.",
                    suggestion="Open the address in a browser: it may need a login, or the file may be gone.",
                )
            if content is not Content.FILE:
                return NotAFile(content)
            if total is not None:
                await before_body(total)
            await _keep(state, start, max_bytes)
        on_bytes(state.position, total)
        while piece := await _piece(response.content):
            await _keep(state, piece, max_bytes)
            on_bytes(state.position, total)
    if total is not None and state.position != total:
        raise _Broken("NET_TEMP", f"{state.position} of {total} bytes", ended=True)
    if state.position == 0:
        raise MediaError("NOT_MEDIA", "no bytes", message="The file behind the address is empty.")
    return None


def _accept(response: aiohttp.ClientResponse, state: _State) -> int | None:
    """Check the answer against what is here already; returns the size of the whole file if known."""
    if response.status == 206 and state.position > 0:
        part = part_of(response.headers)
        if part is None or part.start != state.position:
            state.restart()
            raise _Broken("NET_TEMP", "another range than asked for")
        if not same_version(state.version, version_of(response.headers, part.total_bytes)):
            state.restart()
            raise _Broken("RESOURCE_CHANGED", "another version in a range")
        return part.total_bytes or state.version.total_bytes
    if response.status == 416 and state.position > 0:
        state.restart()
        raise _Broken("RESOURCE_CHANGED", "the range does not exist any more")
    if response.status >= 400:
        code = error_table().code_for_http(response.status)
        raise MediaError(code, f"HTTP {response.status}", retry_after_s=retry_after_s(response.headers))
    if response.status != 200:
        raise MediaError("NOT_MEDIA", f"HTTP {response.status}", message="The server sent no file.")
    state.restart()
    total = length_of(response.headers)
    state.version = version_of(response.headers, total)
    return total


async def _keep(state: _State, data: bytes, max_bytes: int) -> None:
    if state.position + len(data) > max_bytes:
        raise MediaError("TOO_LARGE", f"more than {max_bytes} bytes")
    await asyncio.to_thread(state.write, data)
    state.position += len(data)


async def _first_bytes(body: aiohttp.StreamReader) -> bytes:
    start = b""
    while len(start) < SNIFF_BYTES and (piece := await body.read(SNIFF_BYTES - len(start))):
        start += piece
    return start


async def _piece(body: aiohttp.StreamReader) -> bytes:
    """What has arrived, up to a piece: many small reads become one write."""
    pieces = [await body.readany()]
    size = len(pieces[0])
    while pieces[-1] and size < _PIECE_BYTES and (more := body.read_nowait(-1)):
        pieces.append(more)
        size += len(more)
    return b"".join(pieces)


async def _pause(state: _State, broken: _Broken) -> None:
    """Wait before the next try, or raise the MediaError that several tries without progress amount to."""
    position = state.position
    state.breaks.append(position)
    if position > state.furthest:
        state.furthest = position
        state.tries = 0
    state.tries += 1
    if state.tries >= TRIES_WITHOUT_PROGRESS:
        last = state.breaks[-TRIES_WITHOUT_PROGRESS:]
        total = state.version.total_bytes
        always_there = min(last) > 0 and max(last) - min(last) <= _LOST_BYTES
        if broken.ended and always_there and total is not None:
            raise MediaError("SOURCE_TRUNCATED", f"the server always ends near {position} of {total} bytes") from broken
        raise MediaError(broken.code, str(broken)) from broken
    await asyncio.sleep(_FIRST_DELAY_S * 2.0 ** (state.tries - 1) * random.uniform(0.5, 1.0))


def _broken_by(error: aiohttp.ClientError, guard: Guard) -> _Broken:
    """The broken connection behind an exception of the client; raises MediaError where another try is useless."""
    if guard.refused is not None and isinstance(error, aiohttp.ClientConnectorError):
        raise MediaError("ADDRESS_REFUSED", guard.refused) from error
    if isinstance(error, aiohttp.TooManyRedirects):
        raise MediaError("REDIRECT_LOOP") from error
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        raise MediaError("INVALID_SOURCE", message="The address leads to something that is no web address.") from error
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        raise MediaError("HOST_UNKNOWN", str(error)) from error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        raise MediaError("CERTIFICATE_INVALID", str(error)) from error
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        raise MediaError("CERTIFICATE_INVALID", str(error)) from error
    ended = isinstance(error, aiohttp.ClientPayloadError)
    return _Broken("NET_TEMP", f"{type(error).__name__}: {error}", ended=ended)


def _name(response: aiohttp.ClientResponse) -> str:
    disposition = response.content_disposition
    named = disposition.filename if disposition is not None else None
    return named or name_from_address(str(response.url))


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
