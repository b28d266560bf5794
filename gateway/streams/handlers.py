"""`/v1/jobs/{job}/events`: the job's events as Server-Sent Events, or as a page of JSON."""

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from actors.kernel import StoreUnavailable
from gateway.http.context import Context, context_of, principal_of
from gateway.http.fields import expected
from gateway.http.problems import Problem
from gateway.http.queries import read_query
from gateway.http.requests import wants_event_stream
from gateway.http.responses import json_response
from gateway.jobs.handlers import owned
from gateway.streams.connection import HEADERS
from gateway.streams.cursor import Cursor, parse_cursor
from gateway.streams.opening import reconnecting
from gateway.streams.sse import serve_job

PAGE, LONGEST_PAGE = 100, 500
SHED_RETRY_MS = 15_000


class TimelineQuery(msgspec.Struct, frozen=True):
    """The query of a job's timeline."""

    after: Annotated[str | None, Meta(description="The id of the last event that is known."), expected("a text")] = None
    limit: Annotated[
        int,
        Meta(ge=1, le=LONGEST_PAGE, description="The most events of a page."),
        expected(f"a number from 1 to {LONGEST_PAGE}"),
    ] = PAGE


async def events(request: web.Request) -> web.StreamResponse:
    """A stream for who accepts one, else the timeline."""
    if not wants_event_stream(request.headers):
        return await _timeline(request)
    context = context_of(request)
    if context.streams.full:
        return _shed(context, "draining" if context.streams.draining else "overloaded")
    try:
        return await serve_job(request, context, principal_of(request))
    except StoreUnavailable:
        return _shed(context, "unavailable")


def _shed(context: Context, reason: str) -> web.Response:
    """Turns a client away with 200: an EventSource never comes back after any other status."""
    context.metrics.openings.labels("shed").inc()
    retry_ms = context.streams.retry_ms() + (0 if context.streams.draining else SHED_RETRY_MS)
    return web.Response(body=reconnecting(reason, retry_ms), headers=HEADERS)


async def _timeline(request: web.Request) -> web.Response:
    """The durable events that the job still keeps, oldest first; `after` is the id of the last one that is known."""
    context = context_of(request)
    query = read_query(request, TimelineQuery)
    reading = await context.reader.read(request.match_info["job"])
    owned(reading.view, principal_of(request))
    begin = 0
    if query.after is not None:
        cursor = parse_cursor(query.after)
        places = (place for place, event in enumerate(reading.log, start=1) if event.id == str(cursor))
        if isinstance(cursor, Cursor):
            begin = next(places, 0)
            if begin == 0:
                raise Problem("EVENTS_GONE")
        elif cursor is not None:
            raise Problem("INVALID_CURSOR")
    page = reading.log[begin : begin + query.limit]
    more = begin + query.limit < len(reading.log)
    body = {"events": [msgspec.Raw(event.envelope) for event in page], "next": page[-1].id if more else None}
    return json_response(msgspec.json.encode(body))
