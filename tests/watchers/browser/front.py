"""What stands between a browser and the gateway: an EventSource cannot send a key, so this adds it.

Everything else passes byte for byte, and a connection that the gateway breaks or refuses is broken for the browser.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

PAGE = (Path(__file__).parent / "watch.html").read_bytes()


class Front:
    """`cursors` are the Last-Event-IDs that the browser has sent, in order; None where it sent none."""

    def __init__(self, gateway_port: Callable[[], int], key: str) -> None:
        self.cursors: list[str | None] = []
        self.cut_after: bytes | None = None
        """Once: the connection is broken behind these bytes."""
        self.origin = ""
        self._gateway_port = gateway_port
        self._key = key

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /v1/"):
                await self._pass_on(head, reader, writer)
            else:
                found = head.startswith(b"GET /watch.html")
                status, body = (b"200 OK", PAGE) if found else (b"404 Not Found", b"")
                writer.write(
                    b"HTTP/1.1 %b\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                    % (status, len(body), body)
                )
                await writer.drain()
                writer.close()
                return
        writer.transport.abort()

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.cursors.append(fields.get("last-event-id"))
        lines.append(f"Authorization: Bearer {self._key}")
        if "upgrade" not in fields:
            # One request a connection: the next one needs the key too.
            lines = [line for line in lines if not line.lower().startswith("connection:")] + ["Connection: close"]
        gateway_reader, gateway_writer = await asyncio.open_connection("127.0.0.1", self._gateway_port())
        gateway_writer.write(("\r\n".join([request, *lines]) + "\r\n\r\n").encode("latin-1"))
        upwards = asyncio.create_task(_copy(reader, gateway_writer))
        try:
            if self.cut_after is None:
                await _copy(gateway_reader, writer)
                writer.close()
                await writer.wait_closed()
            else:
                writer.write(await gateway_reader.readuntil(self.cut_after))
                await writer.drain()
                self.cut_after = None
        finally:
            upwards.cancel()
            gateway_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def front(gateway_port: Callable[[], int], key: str) -> AsyncIterator[Front]:
    made = Front(gateway_port, key)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
