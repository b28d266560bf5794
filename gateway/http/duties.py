"""What a gateway process serves: everything, or some duties, so that long transfers share no loop with streams."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from actors.settings_tree import Duty
from gateway.http.problems import Problem

EVENTS = frozenset({"/v1/jobs/{job}/events", "/v1/events"})
"""Streams for who accepts one, else pages of JSON."""
STREAMS = EVENTS | {"/v1/ws"}
_BYTES = frozenset({"/v1/jobs/{job}/outputs/{name}", "/v1/uploads", "/v1/uploads/{upload}"})
_ALWAYS = frozenset({"/livez", "/readyz", "/metrics", "/openapi.json", "/docs"})

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


def duty_of(path: str) -> Duty | None:
    """The duty that a route belongs to; None for those of the process itself, which are always served."""
    if path in _ALWAYS:
        return None
    if path in STREAMS:
        return "streams"
    return "bytes" if path in _BYTES else "api"


def hears_events(duties: tuple[Duty, ...]) -> bool:
    """Whether such a process reads the feeds: streams live on them, and so does an answer that waits for a job."""
    return "streams" in duties or "api" in duties


async def not_served(_request: web.Request) -> web.StreamResponse:
    """In the place of what another process serves."""
    raise Problem("NOT_SERVED_HERE")
