"""The end of a connection whose client is slow to take it: nothing is written behind it."""

import asyncio
import json
import socket

from gateway.http.service import GatewayService
from gateway.streams.connection import Connection
from tests.gateway.conftest import OpenStream
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.sse_client import SseClient, StreamEnded

WINDOW_BYTES = 4096


async def test_nothing_follows_the_last_chunk_while_the_socket_is_full(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    """The handler waits until its last chunk has left; what happens to the tenant's jobs meanwhile is not for it."""
    stream: SseClient = await open_stream(gateway, "", path="/v1/events", receive_buffer_bytes=WINDOW_BYTES)
    (served,) = gateway.context.streams._open
    _narrow(served)
    assert served._transport is not None
    while served._transport.get_write_buffer_size() <= WINDOW_BYTES:
        await worker.submit(spec=json.dumps({"source": "https://a.example/x", "format": "mp3"}).encode())
        await asyncio.sleep(0)
    served.leave("draining")
    await eventually(lambda: served.ended)
    told = gateway.context.pump.events
    await worker.submit()
    await eventually(lambda: gateway.context.pump.events > told)
    served.tick(float("inf"))
    assert served in gateway.context.streams._open, "it still waits for its client"
    last = None
    try:
        while True:
            last = await stream.next()
    except StreamEnded:
        assert last is not None
        assert last.event == "reconnect"
    stream.writer.write(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await stream.reader.readline()).startswith(b"HTTP/1.1 200"), "the connection serves its next request"


def _narrow(served: Connection) -> None:
    """The kernel's own buffer would take megabytes."""
    assert served._transport is not None
    served._transport.set_write_buffer_limits(high=WINDOW_BYTES)
    served._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WINDOW_BYTES)
