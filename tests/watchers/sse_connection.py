"""One connection to `/v1/jobs/{job}/events` on a raw socket."""

import asyncio
import socket
from typing import Self

from tests.watchers.frames import Decoder, Frame
from tests.watchers.story import Answer

ANSWERED_WITHIN_S = 15.0
SILENT_S = 25.0
"""A gateway gives a sign of life each 15 to 20 s; who hears none for longer comes back, as a watchdog would."""
ANSWERS: dict[int, Answer] = {200: "stream", 204: "ended", 404: "unknown"}


class SseConnection:
    """`read` until it returns nothing: then the server has closed the stream. Whatever else ends it is an OSError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder()
        self._early: list[Frame] = []

    @classmethod
    async def open(
        cls, port: int, job: str, key: str, cursor: str | None, *, receive_buffer_bytes: int | None = None
    ) -> Self:
        """Returns when the head was read. Raises OSError or TimeoutError."""
        sock = socket.socket()
        try:
            sock.setblocking(False)
            if receive_buffer_bytes is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
                reader, writer = await asyncio.open_connection(sock=sock, limit=receive_buffer_bytes or 1 << 16)
        except BaseException:
            sock.close()
            raise
        connection = cls(reader, writer)
        try:
            await connection._ask(job, key, cursor)
        except BaseException:
            connection.abort()
            raise
        return connection

    @property
    def answer(self) -> Answer:
        """Raises KeyError for a status that no stream is answered with."""
        return ANSWERS[self._decoder.status]

    async def read(self) -> list[Frame]:
        """The next frames. Raises OSError when the connection breaks, TimeoutError when it is silent."""
        if self._early:
            frames, self._early = self._early, []
            return frames
        while not self._decoder.ended:
            async with asyncio.timeout(SILENT_S):
                data = await self._reader.read(1 << 16)
            if not data:
                raise ConnectionResetError("the connection ended within the stream")
            frames = self._decoder.feed(data)
            if frames:
                return frames
        assert not self._decoder.torn, "the stream was closed within a frame"
        return []

    def abort(self) -> None:
        self._writer.transport.abort()

    async def _ask(self, job: str, key: str, cursor: str | None) -> None:
        last = f"Last-Event-ID: {cursor}\r\n" if cursor is not None else ""
        self._writer.write(
            f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\n"
            f"Accept: text/event-stream\r\n{last}\r\n".encode()
        )
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while not self._decoder.status:
                data = await self._reader.read(1 << 16)
                if not data:
                    raise ConnectionResetError("the connection ended without an answer")
                self._early += self._decoder.feed(data)
