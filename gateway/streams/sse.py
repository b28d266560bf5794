"""One SSE connection from its first byte to its last: register, read, show, then follow."""

import asyncio

from aiohttp import web

from actors.kernel import StoreUnavailable
from gateway.http.context import Context
from gateway.http.requests import LAST_EVENT_ID
from gateway.jobs.handlers import owned
from gateway.principal import Principal
from gateway.streams.connection import HEADERS, JobStream
from gateway.streams.cursor import BEGINNING, BadCursor, Cursor, events_since, parse_cursor
from gateway.streams.events import NO_EPOCH
from gateway.streams.framing import prime
from gateway.streams.hub import job_topic
from gateway.streams.opening import (
    NothingNew,
    Opening,
    continuation,
    ending,
    open_from_reading,
    open_from_ring,
    reconnecting,
    snapshot,
)


async def serve_job(request: web.Request, context: Context, principal: Principal) -> web.StreamResponse:
    """Streams a job's events. Raises Problem JOB_NOT_FOUND, UnknownJobId or StoreUnavailable before the first byte."""
    job = request.match_info["job"]
    cursor = parse_cursor(request.headers.get(LAST_EVENT_ID.name))
    settings = context.settings.gateway
    stream = JobStream(
        job,
        context.partitions.of_job(job),
        context.bounds,
        life_s=settings.stream_life_s,
        heartbeat_s=settings.heartbeat_s,
    )
    began_s = asyncio.get_running_loop().time()
    # Registered before the job is read, so that nothing falls between the two.
    context.hub.watch(job_topic(job), stream)
    context.streams.add(stream)
    try:
        session = _Session(context, principal, stream)
        opening = await session.open(cursor)
        if isinstance(opening, NothingNew):
            context.metrics.openings.labels("ended").inc()
            return web.Response(status=204)
        context.metrics.openings.labels(opening.source).inc()
        response = await session.begin(request, cursor, opening)
        await session.follow()
        await session.finish(response)
        return response
    finally:
        context.streams.remove(stream)
        context.hub.forget(job_topic(job), stream)
        context.metrics.stream_seconds.labels("sse").observe(asyncio.get_running_loop().time() - began_s)


class _Session:
    """What happens on one stream, in the order of its methods."""

    def __init__(self, context: Context, principal: Principal, stream: JobStream) -> None:
        self._context = context
        self._principal = principal
        self._stream = stream
        self._retention_s = context.kernel.retention_s
        self._deleted = False
        """The job is no longer kept. Written by `_read_again`."""

    async def open(self, cursor: Cursor | BadCursor | None) -> Opening | NothingNew:
        """Decides how the stream begins."""
        stream = self._stream
        if isinstance(cursor, Cursor):
            ring = self._context.hub.ring(stream.partition)
            opening = open_from_ring(cursor, ring, stream.watch, stream.job, self._principal.tenant)
            if opening is not None:
                return opening
        stream.watch.begin_reading()
        reading = await self._context.reader.read(stream.job)
        view = owned(reading.view, self._principal)
        return open_from_reading(cursor, view, reading, stream.watch, self._retention_s)

    async def begin(
        self, request: web.Request, cursor: Cursor | BadCursor | None, opening: Opening
    ) -> web.StreamResponse:
        """Sends the headers and the opening."""
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        epoch = self._context.pump.epoch(self._stream.partition) or NO_EPOCH
        own = cursor if isinstance(cursor, Cursor) else f"{epoch}.{BEGINNING}"
        # Through aiohttp, which sends its headers with the first write; everything after goes to the transport.
        await response.write(prime(self._context.streams.retry_ms(), str(own)))
        self._stream.attach(request)
        self._stream.write(opening.frames)
        self._stream.release()
        return response

    async def follow(self) -> None:
        """Until the job has ended, the client has left or it is time to leave."""
        stream = self._stream
        while not (stream.gone or stream.leave_reason or self._deleted or stream.watch.ended):
            if stream.watch.must_read and not stream.behind:
                try:
                    await self._read_again()
                except StoreUnavailable:
                    stream.leave("unavailable")
                continue
            stream.wake.clear()
            await stream.wake.wait()

    async def _read_again(self) -> None:
        """What the watch has missed: from the job's log where that proves to be all of it, else the whole job."""
        stream = self._stream
        lost = stream.watch.lost
        seen = stream.watch.rev
        stream.watch.begin_reading()
        reading = await self._context.reader.read(stream.job)
        view = reading.view
        if view is None or view.tenant != self._principal.tenant:
            self._deleted = True
            return
        rest = None if lost else events_since(seen, reading.log, view.rev)
        if rest is None:
            stream.write(snapshot("resync", view, reading, stream.watch, self._retention_s))
        else:
            stream.write(continuation(view, rest, stream.watch))
        stream.release()

    async def finish(self, response: web.StreamResponse) -> None:
        """The last frame, and the end of the body."""
        stream = self._stream
        if stream.gone:
            return
        if stream.watch.ended or self._deleted:
            stream.write([ending(stream.job, None if self._deleted else stream.watch.end_state)])
        else:
            stream.write([reconnecting(stream.leave_reason, self._context.streams.retry_ms())])
        bounds, draining = self._context.bounds, self._context.streams.draining
        try:
            async with asyncio.timeout(bounds.farewell_s if draining else bounds.stall_s):
                await response.write_eof()
        except TimeoutError:
            stream.abort()
        except ConnectionResetError:
            pass
