"""A proxy before redis-server that loses chosen replies: the request is carried out, the client never hears of it."""

import asyncio
import contextlib
from pathlib import Path


class LossyProxy:
    """Listens on `socket` and forwards to `upstream` (both Unix sockets)."""

    def __init__(self, socket: Path, upstream: Path) -> None:
        self.url = f"unix://{socket}"
        self._socket = socket
        self._upstream = upstream
        self._lose: bytes | None = None
        self.lost = asyncio.Event()
        """Set when a reply was lost."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._socket)

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lose_next_reply(self, request_contains: bytes) -> None:
        """Loses the reply of the next request with these bytes in it and breaks its connection."""
        self._lose = request_contains
        self.lost.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._forward(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(self._upstream)
        losing = asyncio.Event()

        async def replies() -> None:
            while data := await upstream_reader.read(65536):
                if losing.is_set():
                    self.lost.set()
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()

        returning = asyncio.create_task(replies())
        try:
            while data := await reader.read(65536):
                if self._lose is not None and self._lose in data:
                    self._lose = None
                    losing.set()
                upstream_writer.write(data)
                await upstream_writer.drain()
        finally:
            if losing.is_set():
                with contextlib.suppress(Exception):
                    await returning
            returning.cancel()
            upstream_writer.close()
