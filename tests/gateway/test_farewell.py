"""The end of a connection whose client is slow to take it: nothing is written behind it."""

import asyncio
import json

from gateway.http.service import GatewayService
from gateway.streams.connection import Bounds
from tests.gateway.conftest import OpenStream
from tests.gateway.narrow import NARROW_BYTES, narrow
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.sse_client import SseClient, StreamEnded


async def test_nothing_follows_the_last_chunk_while_the_socket_is_full(
    gateway: GatewayService, worker: ScriptedWorker, open_stream: OpenStream
) -> None:
    """The handler waits until its last chunk has left; what happens to the tenant's jobs meanwhile is not for it."""
    stream: SseClient = await open_stream(gateway, "", path="/v1/events", receive_buffer_bytes=NARROW_BYTES)
    (served,) = gateway.context.streams._open
    transport = narrow(served)
    while transport.get_write_buffer_size() <= NARROW_BYTES:
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


def test_only_a_process_that_stops_hurries_who_is_slow_to_take_the_end() -> None:
    bounds = Bounds(stall_s=15.0, farewell_s=2.0)
    assert (bounds.end_s(draining=False), bounds.end_s(draining=True)) == (15.0, 2.0)
