"""A wire between a client and a gateway on loopback: it can be cut after any byte, go dead, or swallow an answer."""

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import Self

FOREVER = 1 << 62
_RETRY = re.compile(rb"retry: (\d+)\n")


@dataclass
class Plan:
    """What happens to one connection. Counts are of the bytes that come from the gateway."""

    cut_after_bytes: int = FOREVER
    """Then both ends are reset."""
    dead_after_bytes: int = FOREVER
    """Then nothing moves any more in either direction, and nobody is told."""


@dataclass
class Wire:
    """Listens on a port of its own. The next connections get `plans`, in order; those after them are left alone."""

    port_of_gateway: int
    plans: list[Plan] = field(default_factory=list)
    asks_for_patience: bool = False
    """Whether the gateway's word on when to come back is passed on; otherwise it becomes one millisecond."""
    sent: bytes = b""
    """All that clients have sent."""
    received: bytes = b""
    """All that clients were given."""
    connections: int = 0
    open: int = 0
    last_port: int = 0
    """Of the client whose connection was accepted last."""

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection."""
        for task in self._tasks:
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plan = self.plans.pop(0) if self.plans else Plan()
        self.connections += 1
        self.open += 1
        self.last_port = writer.get_extra_info("peername")[1]
        far = None
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.port_of_gateway)
            there = asyncio.create_task(self._there(reader, far))
            back = asyncio.create_task(self._back(far_reader, writer, plan))
            try:
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for half in (there, back):
                    half.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        finally:
            self.open -= 1
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _there(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                self.sent += piece
                far.write(piece)
                await far.drain()

    async def _back(self, far: asyncio.StreamReader, writer: asyncio.StreamWriter, plan: Plan) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while piece := await far.read(65536):
                if not self.asks_for_patience:
                    piece = _RETRY.sub(lambda found: b"retry: " + b"1".rjust(len(found[1]), b"0") + b"\n", piece)
                last = min(plan.cut_after_bytes, plan.dead_after_bytes)
                piece = piece[: max(0, last - passed)]
                passed += len(piece)
                self.received += piece
                writer.write(piece)
                await writer.drain()
                if passed >= plan.dead_after_bytes:
                    await asyncio.Event().wait()
                if passed >= plan.cut_after_bytes:
                    return
