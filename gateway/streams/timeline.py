"""Durable events as pages of JSON: of one job from its log, of a tenant from the feed."""

import msgspec
from aiohttp import web

from gateway.http.context import context_of, principal_of
from gateway.http.problems import Problem
from gateway.http.queries import read_query
from gateway.http.responses import json_response
from gateway.jobs.handlers import owned
from gateway.streams.cursor import Cursor, parse_cursor
from gateway.streams.events import Event
from gateway.streams.requests import TenantTimelineQuery, TimelineQuery


class Timeline(msgspec.Struct, frozen=True):
    """One page, oldest first; `next` is the id to continue after, null when there was no more."""

    events: list[msgspec.Raw]
    next: str | None


async def job_timeline(request: web.Request) -> web.Response:
    """The durable events that the job still keeps; `after` is the id of the last one that is known."""
    query = read_query(request, TimelineQuery)
    reading = await context_of(request).reader.read(request.match_info["job"])
    owned(reading.view, principal_of(request))
    cursor = _cursor(query.after)
    begin = 0
    if cursor is not None:
        places = (place for place, event in enumerate(reading.log, start=1) if event.id == str(cursor))
        begin = next(places, 0)
        if begin == 0:
            raise Problem("EVENTS_GONE")
    page = reading.log[begin : begin + query.limit]
    return _answer(page, more=begin + query.limit < len(reading.log))


async def tenant_timeline(request: web.Request) -> web.Response:
    """The durable events of all jobs that the feed still holds; `tag` leaves those of the jobs that carry it."""
    context, principal = context_of(request), principal_of(request)
    query = read_query(request, TenantTimelineQuery)
    page = await context.feed_reader.page(principal.tenant, _cursor(query.after), query.limit)
    if page is None:
        raise Problem("EVENTS_GONE")
    tag = query.tag
    if tag is None:
        return _answer(page.events, more=not page.whole)
    await context.tags.learn({event.job for event in page.events})
    tagged = [event for event in page.events if context.tags.carries(event.job, tag)]
    # The next page continues behind everything that was looked at, whether it carried the tag or not.
    return _answer(tagged, more=not page.whole, last=page.events[-1].id if page.events else None)


def _cursor(text: str | None) -> Cursor | None:
    cursor = parse_cursor(text)
    if cursor is not None and not isinstance(cursor, Cursor):
        raise Problem("INVALID_CURSOR")
    return cursor


def _answer(page: "list[Event] | tuple[Event, ...]", *, more: bool, last: str | None = None) -> web.Response:
    following = last or (page[-1].id if page else None)
    timeline = Timeline([msgspec.Raw(event.envelope) for event in page], following if more else None)
    return json_response(msgspec.json.encode(timeline))
