"""The aiohttp application: one table of routes, and the layers around them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from gateway.admin import dead, stages, tenants, workers
from gateway.downloads import handlers as downloads
from gateway.http import health
from gateway.http.context import CONTEXT, Context
from gateway.http.duties import duty_of, not_served
from gateway.http.middleware import authentication, prepare_headers, request_scope
from gateway.http.requests import ask_later
from gateway.jobs import handlers as jobs
from gateway.streams import handlers as streams
from gateway.streams.websocket import websocket
from gateway.uploads import handlers as uploads

JSON_BODY_MOST_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table."""

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]


ROUTES = (
    Route("POST", "/v1/jobs", jobs.submit),
    Route("GET", "/v1/jobs", jobs.listing),
    Route("HEAD", "/v1/jobs", jobs.listing),
    Route("GET", "/v1/jobs/{job}", jobs.show),
    Route("HEAD", "/v1/jobs/{job}", jobs.show),
    Route("POST", "/v1/jobs/{job}/cancel", jobs.cancel),
    Route("GET", "/v1/jobs/{job}/events", streams.job_events),
    Route("GET", "/v1/events", streams.tenant_events),
    Route("GET", "/v1/ws", websocket),
    Route("GET", "/v1/jobs/{job}/outputs", downloads.listing),
    Route("HEAD", "/v1/jobs/{job}/outputs", downloads.listing),
    Route("GET", "/v1/jobs/{job}/outputs/{name}", downloads.download),
    Route("HEAD", "/v1/jobs/{job}/outputs/{name}", downloads.download),
    Route("POST", "/v1/uploads", uploads.receive),
    Route("GET", "/v1/uploads/{upload}", uploads.show),
    Route("HEAD", "/v1/uploads/{upload}", uploads.show),
    Route("DELETE", "/v1/uploads/{upload}", uploads.delete),
    Route("GET", "/v1/admin/dead", dead.listing),
    Route("GET", "/v1/admin/dead/count", dead.count),
    Route("GET", "/v1/admin/dead/export", dead.export),
    Route("POST", "/v1/admin/dead/replay", dead.replay_page),
    Route("POST", "/v1/admin/dead/purge", dead.purge),
    Route("GET", "/v1/admin/dead/{job}", dead.show),
    Route("POST", "/v1/admin/dead/{job}/replay", dead.replay),
    Route("GET", "/v1/admin/quarantine", dead.quarantine),
    Route("GET", "/v1/admin/workers", workers.listing),
    Route("GET", "/v1/admin/stages", stages.listing),
    Route("POST", "/v1/admin/stages/{stage}/pause", stages.pause),
    Route("POST", "/v1/admin/stages/{stage}/resume", stages.resume),
    Route("GET", "/v1/admin/tenants/{tenant}", tenants.show),
    Route("PUT", "/v1/admin/tenants/{tenant}", tenants.change),
    Route("GET", "/livez", health.livez),
    Route("GET", "/readyz", health.readyz),
    Route("GET", "/metrics", health.metrics),
)


def build_application(context: Context) -> web.Application:
    """The application of one gateway."""
    application = web.Application(middlewares=(request_scope, authentication), client_max_size=JSON_BODY_MOST_BYTES)
    application[CONTEXT] = context
    application.on_response_prepare.append(prepare_headers)
    for route in ROUTES:
        duty = duty_of(route.path)
        is_served = duty is None or duty in context.settings.gateway.serve
        handler = route.handler if is_served else not_served
        application.router.add_route(route.method, route.path, handler, expect_handler=ask_later)
    return application
