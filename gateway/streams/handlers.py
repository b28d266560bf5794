"""`/v1/jobs/{job}/events` and `/v1/events`: events as Server-Sent Events, or as a page of JSON."""

from aiohttp import web

from actors.kernel import StoreUnavailable
from gateway.http.context import Context, context_of, principal_of
from gateway.http.queries import NoQuery, read_query
from gateway.http.requests import wants_event_stream
from gateway.streams.channel import Channel
from gateway.streams.job_channel import JobChannel
from gateway.streams.requests import TagQuery
from gateway.streams.sse import HEADERS, reconnecting, serve_events
from gateway.streams.tenant_channel import TenantChannel
from gateway.streams.timeline import job_timeline, tenant_timeline


async def job_events(request: web.Request) -> web.StreamResponse:
    """The events of one job: a stream for who accepts one, else the timeline."""
    if not wants_event_stream(request.headers):
        return await job_timeline(request)
    read_query(request, NoQuery)
    return await _stream(request, JobChannel(context_of(request), principal_of(request), request.match_info["job"]))


async def tenant_events(request: web.Request) -> web.StreamResponse:
    """The events of all jobs, or with `tag` of those that carry it: a stream for who accepts one, else the timeline."""
    if not wants_event_stream(request.headers):
        return await tenant_timeline(request)
    tag = read_query(request, TagQuery).tag
    return await _stream(request, TenantChannel(context_of(request), principal_of(request), tag))


async def _stream(request: web.Request, channel: Channel) -> web.StreamResponse:
    context = context_of(request)
    if context.streams.full:
        return _shed(context, "draining" if context.streams.draining else "overloaded")
    try:
        return await serve_events(request, context, channel)
    except StoreUnavailable:
        return _shed(context, "unavailable")


def _shed(context: Context, reason: str) -> web.Response:
    """Turns a client away with 200: an EventSource never comes back after any other status."""
    return web.Response(body=reconnecting(reason, context.streams.turn_away()), headers=HEADERS)
