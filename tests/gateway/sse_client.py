"""An SSE client on a raw socket that checks the framing and the promises of the stream while it reads."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Self

DEADLINE_S = 10.0
TERMINAL = {"job.completed", "job.failed", "job.cancelled", "job.expired"}


class StreamEnded(Exception):
    """The server closed the stream."""


@dataclass
class Frame:
    event: str | None
    id: str | None
    retry: int | None
    data: Any

    @property
    def rev(self) -> int:
        return int(self.data["rev"])


class SseClient:
    """`cursor` is what an EventSource would send when it comes back. Broken promises fail the test at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.cursor: str | None = None
        self.retry_ms: int | None = None
        self.frames: list[Frame] = []
        self._is_of_a_job = True
        self._rev: int | None = None
        self._percent = -1.0
        self._text = b""
        self._chunked = False

    @classmethod
    async def open(
        cls,
        port: int,
        job: str,
        key: str,
        last_event_id: str | None = None,
        *,
        version: str = "1.1",
        path: str | None = None,
        receive_buffer_bytes: int | None = None,
    ) -> Self:
        if receive_buffer_bytes is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        else:
            reader, writer = await _open_small(port, receive_buffer_bytes)
        client = cls(reader, writer)
        client._is_of_a_job = path is None
        cursor = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id is not None else ""
        head = (
            f"GET {path or f'/v1/jobs/{job}/events'} HTTP/{version}\r\nHost: test\r\nAuthorization: Bearer {key}\r\n"
            f"Accept: text/event-stream\r\n{cursor}\r\n"
        )
        writer.write(head.encode())
        async with asyncio.timeout(DEADLINE_S):
            await client._read_head()
        client.cursor = last_event_id
        return client

    async def _read_head(self) -> None:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self._chunked = self.headers.get("transfer-encoding") == "chunked"

    async def next(self) -> Frame:
        """The next frame. Raises StreamEnded."""
        async with asyncio.timeout(DEADLINE_S):
            while b"\n\n" not in self._text:
                piece = await self._piece()
                if not piece:
                    assert not self._text, f"the stream ended within a frame: {self._text!r}"
                    raise StreamEnded
                self._text += piece
        text, _, self._text = self._text.partition(b"\n\n")
        frame = _parse(text.decode())
        self._check(frame)
        self.frames.append(frame)
        return frame

    async def _piece(self) -> bytes:
        if not self._chunked:
            return await self.reader.read(65536)
        size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
        data = await self.reader.readexactly(size + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    def _check(self, frame: Frame) -> None:
        if frame.id is not None:
            self.cursor = frame.id
        if frame.retry is not None:
            self.retry_ms = frame.retry
        if not self._is_of_a_job:
            return
        if frame.event in ("snapshot", "resync"):
            self._rev, self._percent = frame.rev, frame.data["data"]["progress"]["percent"]
            assert frame.data["id"] == frame.id
        elif frame.event == "job.progress":
            percent = frame.data["data"]["progress"]["percent"]
            assert (frame.id, frame.data["id"]) == (None, None), "progress has no id"
            assert percent >= self._percent, f"percent fell from {self._percent} to {percent}"
            assert self._rev is None or frame.rev == self._rev
            self._percent = percent
        elif frame.event is not None and frame.event.startswith("job."):
            assert frame.data["id"] == frame.id
            repeats_snapshot = self.frames[-1].event in ("snapshot", "resync") and frame.event in TERMINAL
            if self._rev is not None and not (repeats_snapshot and frame.rev == self._rev):
                assert frame.rev == self._rev + 1, f"rev {self._rev} is followed by {frame.rev}"
            self._rev = frame.rev

    async def until(self, event: str) -> Frame:
        while (frame := await self.next()).event != event:
            pass
        return frame

    async def rest(self) -> list[Frame]:
        """Everything until the server closes the stream."""
        before = len(self.frames)
        try:
            while True:
                await self.next()
        except StreamEnded:
            return self.frames[before:]

    def events(self) -> list[str]:
        """Names of all frames, without what keeps the stream alive."""
        return [frame.event for frame in self.frames if frame.event not in (None, "heartbeat")]

    def abort(self) -> None:
        self.writer.transport.abort()


def _parse(text: str) -> Frame:
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        assert name not in fields, f"two lines of {name}"
        assert name in ("event", "id", "retry", "data"), line
        fields[name] = value.removeprefix(" ")
    data = json.loads(fields["data"]) if fields.get("data") else None
    return Frame(fields.get("event"), fields.get("id"), int(fields["retry"]) if "retry" in fields else None, data)


async def _open_small(port: int, receive_buffer_bytes: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    import socket

    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=sock, limit=receive_buffer_bytes)
