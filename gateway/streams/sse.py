"""One SSE connection from its first byte to its last: register, read, show, then follow."""

import asyncio

import msgspec
from aiohttp import web
from aiohttp.http import HttpVersion11

from gateway.http.context import Context
from gateway.http.requests import LAST_EVENT_ID
from gateway.streams.channel import Channel, NothingNew, Opening
from gateway.streams.connection import Connection
from gateway.streams.cursor import BEGINNING, BadCursor, Cursor, parse_cursor
from gateway.streams.events import NO_EPOCH
from gateway.streams.framing import frame, prime
from gateway.streams.subscription import Subscription
from gateway.streams.wake import Wake
from gateway.streams.wire import SSE, SSE_PLAIN, SseWire

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    # nginx buffers answers unless it is told not to.
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


async def serve_events(request: web.Request, context: Context, channel: Channel) -> web.StreamResponse:
    """Streams a channel. Raises Problem JOB_NOT_FOUND, UnknownJobId or StoreUnavailable before the first byte."""
    cursor = parse_cursor(request.headers.get(LAST_EVENT_ID.name))
    wake = Wake()
    wire = SSE if request.version >= HttpVersion11 else SSE_PLAIN
    followed: dict[str, Subscription] = {}
    connection = context.connection(wire, wake, followed)
    subscription = followed[""] = Subscription("", channel, connection)
    began_s = asyncio.get_running_loop().time()
    # Registered before anything is read, so that nothing falls between the two.
    context.hub.watch(channel.topic, subscription)
    context.streams.add(connection)
    try:
        opening = await channel.open(cursor)
        if isinstance(opening, NothingNew):
            context.metrics.openings.labels("ended").inc()
            return web.Response(status=204)
        context.metrics.openings.labels(opening.source).inc()
        session = _Session(context, wire, connection, subscription, wake)
        response = await session.begin(request, cursor, opening)
        # Not kept for the life of the stream: the job as it was.
        del opening
        await session.follow()
        await session.finish(response)
        return response
    finally:
        context.streams.remove(connection)
        context.hub.forget(channel.topic, subscription)
        context.metrics.stream_seconds.labels("sse").observe(asyncio.get_running_loop().time() - began_s)


class _Session:
    """What happens on one stream, in the order of its methods."""

    __slots__ = ("_channel", "_connection", "_context", "_subscription", "_wake", "_wire")

    def __init__(
        self, context: Context, wire: SseWire, connection: Connection, subscription: Subscription, wake: Wake
    ) -> None:
        self._context = context
        self._connection = connection
        self._subscription = subscription
        self._channel = subscription.channel
        self._wake = wake
        self._wire = wire

    async def begin(
        self, request: web.Request, cursor: Cursor | BadCursor | None, opening: Opening
    ) -> web.StreamResponse:
        """Sends the headers and the opening."""
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        epoch = self._context.pump.epoch(self._channel.partition) or NO_EPOCH
        own = cursor if isinstance(cursor, Cursor) else f"{epoch}.{BEGINNING}"
        # Through aiohttp, which sends its headers with the first write; everything after goes to the transport.
        await response.write(prime(self._context.streams.retry_ms(), str(own)))
        # They were sent, and the timer of idle connections is not for this one: both would be kept for hours.
        response.headers.clear()
        request.protocol.keep_alive(False)
        self._connection.attach(request.transport)
        self._subscription.show(opening.items)
        self._subscription.open()
        return response

    async def follow(self) -> None:
        """Until the job has ended, the client has left or it is time to leave."""
        connection, subscription, wake = self._connection, self._subscription, self._wake
        while not (connection.gone or connection.leave_reason or self._channel.ended):
            if subscription.wants_reading and not connection.behind:
                await subscription.catch_up()
                continue
            await wake.sleep()

    async def finish(self, response: web.StreamResponse) -> None:
        """The last frame, and the end of the body."""
        connection = self._connection
        if connection.gone:
            return
        if self._channel.ended:
            last = frame("end", msgspec.json.encode(self._channel.end))
        else:
            last = reconnecting(connection.leave_reason, self._context.streams.retry_ms())
        connection.end(self._wire.pack(last))
        try:
            async with asyncio.timeout(self._context.bounds.end_s(draining=self._context.streams.draining)):
                await response.write_eof()
        except TimeoutError:
            connection.abort()
        except ConnectionResetError:
            pass


def reconnecting(reason: str, retry_ms: int) -> bytes:
    """Asks the client to come back: `reason` is draining, lifetime, unavailable or overloaded."""
    head = f"retry: {retry_ms}\n".encode()
    return head + frame("reconnect", msgspec.json.encode({"reason": reason, "retry_ms": retry_ms}))
