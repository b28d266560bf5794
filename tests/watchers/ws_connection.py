"""One WebSocket that follows one target, on a raw socket. What it is told is given as the frames of an event stream."""

import asyncio
import json
from typing import Any, Self

from tests.watchers.connecting import ANSWERED_WITHIN_S, SILENT_S, connected
from tests.watchers.frames import Frame
from tests.watchers.story import Answer
from tests.watchers.target import Target
from tests.watchers.ws_frames import CLOSE, PING, PONG, TEXT, MessageDecoder, masked

NAME = "it"
AWAY = {"STORE_UNAVAILABLE"}
"""Errors after which a client asks again."""


class WsConnection:
    """As an `SseConnection`: `read` until it returns nothing."""

    primed = False
    """Its snapshot is the first cursor."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.answer: Answer = "stream"
        self.code: int | None = None
        """Of the close frame."""
        self._reader = reader
        self._writer = writer
        self._decoder = MessageDecoder()
        self._early: list[Frame] = []
        self._subscribed = False
        self._ended = False

    @classmethod
    async def open(
        cls, port: int, target: Target, key: str, cursor: str | None, receive_buffer_bytes: int | None = None
    ) -> Self:
        """Returns when the subscription was answered, or the client was asked to come back.

        Raises OSError or TimeoutError.
        """
        connection = cls(*await connected(port, receive_buffer_bytes))
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                await connection._begin(target, key, cursor)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def read(self) -> list[Frame]:
        """The next frames. Raises OSError when the connection breaks, TimeoutError when it is silent."""
        frames, self._early = self._early, []
        while not frames and not self._ended:
            async with asyncio.timeout(SILENT_S):
                frames = await self._receive()
        return frames

    def abort(self) -> None:
        self._writer.transport.abort()

    async def _begin(self, target: Target, key: str, cursor: str | None) -> None:
        self._writer.write(
            f"GET /v1/ws HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            raise ConnectionResetError("the connection ended without an answer") from None
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionRefusedError(head.partition(b"\r\n")[0].decode())
        since = {} if cursor is None else {"since": cursor}
        self._say("sub" if cursor is None else "resume", id=NAME, topic=target.topic, **since)
        while not self._subscribed and not self._ended:
            self._early += await self._receive()

    async def _receive(self) -> list[Frame]:
        data = await self._reader.read(1 << 16)
        if not data:
            raise ConnectionResetError("the connection ended without a close")
        frames: list[Frame] = []
        for opcode, payload in self._decoder.feed(data):
            if opcode == TEXT:
                frames += self._hear(json.loads(payload))
            elif opcode == PING:
                self._writer.write(masked(PONG, payload))
            elif opcode == CLOSE:
                self.code = int.from_bytes(payload[:2], "big")
                self._ended = True
        return frames

    def _hear(self, said: dict[str, Any]) -> list[Frame]:
        match said["op"]:
            case "sub":
                self._subscribed = True
                snapshot = said["snapshot"]
                return [] if snapshot is None else [Frame(snapshot["type"], snapshot["id"], None, snapshot)]
            case "ev":
                event = said["event"]
                return [Frame(event["type"], event["id"], None, event)]
            case "end":
                self._ended = True
                return [Frame("end", data={"job": said["job"], "state": said["state"]})]
            case "bye":
                data = {"reason": said["reason"], "retry_ms": said["retry_ms"]}
                return [Frame("reconnect", None, said["retry_ms"], data)]
            case "ping":
                return [Frame("heartbeat", data={"at": said["at"]})]
            case "error":
                if said["code"] in AWAY:
                    raise ConnectionRefusedError(said["code"])
                assert said["code"] == "JOB_NOT_FOUND", said
                self.answer, self._ended = "unknown", True
        return []

    def _say(self, op: str, **fields: str) -> None:
        self._writer.write(masked(TEXT, json.dumps({"op": op, **fields}).encode()))
