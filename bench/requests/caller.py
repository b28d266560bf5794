"""A client that costs little: one connection that stays open, requests as prepared bytes, answers as far as needed."""

import asyncio
from typing import Self, cast

import msgspec

_LENGTH = b"\r\ncontent-length:"
_TAG = b"\r\netag:"
_END = b"\r\n\r\n"


class Answer(msgspec.Struct, frozen=True):
    """To one request."""

    status: int
    body: bytes
    tag: bytes
    """The ETag; empty without one."""


class Caller(asyncio.Protocol):
    """Sends one request after the other. Needs answers with a length, as every one of ours has that has a body."""

    def __init__(self) -> None:
        self._received = b""
        self._answered: asyncio.Future[Answer] | None = None
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def connect(cls, port: int) -> Self:
        """To a server on this machine."""
        _, caller = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return caller

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def call(self, request: bytes) -> Answer:
        """The answer. Raises ConnectionError when the connection is lost."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection is closed")
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one without saying so.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        answer = read_answer(self._received)
        if answer is not None and self._answered is not None:
            self._received = b""
            self._answered.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("the connection was closed"))


def read_answer(received: bytes) -> Answer | None:
    """None while a part is missing."""
    head, ended, body = received.partition(_END)
    if not ended:
        return None
    fields = head.lower()
    length = _field(fields, _LENGTH)
    if len(body) < int(length or 0):
        return None
    return Answer(int(head[9:12]), body, _field(fields, _TAG))


def _field(head: bytes, name: bytes) -> bytes:
    _, found, rest = head.partition(name)
    return rest.partition(b"\r\n")[0].strip() if found else b""


def request(method: str, path: str, key: str, *headers: str, body: bytes = b"") -> bytes:
    """One request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {key}", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body
