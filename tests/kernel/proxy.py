"""A proxy before redis-server that loses chosen replies, and that can hang: connections stay, nothing passes.

A request here is what a client sends in one write: a command, or a pipeline as a whole.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

Choice = Callable[[int, bytes], bool]
"""Whether a request is the chosen one: its number since the start (the first is 1) and its bytes."""


class LossyProxy:
    """Listens on `socket` and forwards to `upstream` (both Unix sockets)."""

    def __init__(self, socket: Path, upstream: Path) -> None:
        self.url = f"unix://{socket}"
        self.requests = 0
        """Requests that have arrived since the start."""
        self.losses = 0
        """Replies lost so far."""
        self.before: Callable[[], Awaitable[None]] | None = None
        """Awaited before each request is passed on."""
        self._socket = socket
        self._upstream = upstream
        self._lose: Choice | None = None
        self._hang: Choice | None = None
        self.lost = asyncio.Event()
        """Set when a reply was lost."""
        self.hung = asyncio.Event()
        """Set while nothing passes."""
        self._passing = asyncio.Event()
        self._passing.set()
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
        before = self.losses
        self._lose = lambda _, data: self.losses == before and request_contains in data
        self.lost.clear()

    def lose_replies(self, *numbers: int) -> None:
        """Loses the replies of exactly these requests, counted since the start, and breaks their connections."""
        self._lose = lambda request, _: request in numbers
        self.lost.clear()

    def hang_on(self, request_contains: bytes) -> None:
        """Nothing passes in either direction from the next request with these bytes in it on, that request included."""
        self._hang = lambda _, data: request_contains in data

    def hang(self) -> None:
        """From now on nothing passes, in either direction."""
        self._passing.clear()
        self.hung.set()

    def resume(self) -> None:
        """Passes on what has waited, late, as a network does, and everything after it."""
        self._hang = None
        self.hung.clear()
        self._passing.set()

    def break_connections(self) -> None:
        """Ends all connections that there are, with whatever was on its way. New ones may come."""
        for task in list(self._tasks):
            task.cancel()

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
            with contextlib.suppress(OSError):
                while data := await upstream_reader.read(65536):
                    await self._passing.wait()
                    if losing.is_set():
                        self.lost.set()
                        writer.transport.abort()
                        return
                    writer.write(data)
                    await writer.drain()
            # The server hung up, so the client is hung up on.
            writer.close()

        returning = asyncio.create_task(replies())
        try:
            while data := await reader.read(65536):
                if await self._passes(data):
                    losing.set()
                upstream_writer.write(data)
                await upstream_writer.drain()
        finally:
            if losing.is_set():
                with contextlib.suppress(Exception):
                    await returning
            returning.cancel()
            upstream_writer.close()

    async def _passes(self, data: bytes) -> bool:
        """Waits until the request may pass; True when its reply is the one to lose."""
        self.requests += 1
        if self._hang is not None and self._hang(self.requests, data):
            self.hang()
        if self.before is not None:
            await self.before()
        chosen = self._lose is not None and self._lose(self.requests, data)
        if chosen:
            self.losses += 1
        await self._passing.wait()
        return chosen
