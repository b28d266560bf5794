"""One connection that follows a target by Server-Sent Events, on a raw socket."""

import asyncio
from typing import Self

from tests.watchers.connecting import ANSWERED_WITHIN_S, SILENT_S, connected
from tests.watchers.frames import Decoder, Frame
from tests.watchers.story import Answer
from tests.watchers.target import Target

ANSWERS: dict[int, Answer] = {200: "stream", 204: "ended", 404: "unknown"}


class SseConnection:
    """`read` until it returns nothing: then the server has closed the stream. Whatever else ends it is an OSError."""

    primed = True
    """A stream begins with a cursor of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder()
        self._early: list[Frame] = []

    @classmethod
    async def open(
        cls, port: int, target: Target, key: str, cursor: str | None, receive_buffer_bytes: int | None = None
    ) -> Self:
        """Returns when the head was read. Raises OSError or TimeoutError."""
        connection = cls(*await connected(port, receive_buffer_bytes))
        try:
            await connection._ask(target, key, cursor)
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

    async def _ask(self, target: Target, key: str, cursor: str | None) -> None:
        last = f"Last-Event-ID: {cursor}\r\n" if cursor is not None else ""
        self._writer.write(
            f"GET {target.path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\n"
            f"Accept: text/event-stream\r\n{last}\r\n".encode()
        )
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while not self._decoder.status:
                data = await self._reader.read(1 << 16)
                if not data:
                    raise ConnectionResetError("the connection ended without an answer")
                self._early += self._decoder.feed(data)
