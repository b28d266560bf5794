"""The aiohttp application: one table of routes, and the layers around them."""

from aiohttp import web

from gateway.admin import cluster_operations as of_cluster
from gateway.admin import dead, stages, tenants, workers
from gateway.admin import dead_operations as of_dead
from gateway.downloads import handlers as downloads
from gateway.downloads import operations as of_downloads
from gateway.http import health
from gateway.http import operations as of_process
from gateway.http.context import CONTEXT, Context
from gateway.http.duties import duty_of, not_served
from gateway.http.middleware import prepare_headers, request_scope
from gateway.http.requests import ask_later
from gateway.http.route import Route
from gateway.jobs import handlers as jobs
from gateway.jobs import operations as of_jobs
from gateway.openapi import handlers as openapi
from gateway.streams import handlers as streams
from gateway.streams import operations as of_streams
from gateway.streams.websocket import websocket
from gateway.streams.ws_operation import WEBSOCKET
from gateway.uploads import handlers as uploads
from gateway.uploads import operations as of_uploads

JSON_BODY_MOST_BYTES = 128 * 1024


ROUTES = (
    Route("POST", "/v1/jobs", jobs.submit, of_jobs.SUBMIT),
    Route("GET", "/v1/jobs", jobs.listing, of_jobs.LISTING),
    Route("HEAD", "/v1/jobs", jobs.listing, of_jobs.LISTING),
    Route("GET", "/v1/jobs/{job}", jobs.show, of_jobs.SHOW),
    Route("HEAD", "/v1/jobs/{job}", jobs.show, of_jobs.SHOW),
    Route("DELETE", "/v1/jobs/{job}", jobs.delete, of_jobs.DELETE),
    Route("POST", "/v1/jobs/{job}/cancel", jobs.cancel, of_jobs.CANCEL),
    Route("POST", "/v1/jobs/{job}/retry", jobs.retry, of_jobs.RETRY),
    Route("GET", "/v1/jobs/{job}/events", streams.job_events, of_streams.JOB_EVENTS),
    Route("GET", "/v1/events", streams.tenant_events, of_streams.TENANT_EVENTS),
    Route("GET", "/v1/ws", websocket, WEBSOCKET),
    Route("GET", "/v1/jobs/{job}/outputs", downloads.listing, of_downloads.LISTING),
    Route("HEAD", "/v1/jobs/{job}/outputs", downloads.listing, of_downloads.LISTING),
    Route("GET", "/v1/jobs/{job}/outputs/{name}", downloads.download, of_downloads.DOWNLOAD),
    Route("HEAD", "/v1/jobs/{job}/outputs/{name}", downloads.download, of_downloads.DOWNLOAD),
    Route("POST", "/v1/uploads", uploads.receive, of_uploads.RECEIVE),
    Route("GET", "/v1/uploads/{upload}", uploads.show, of_uploads.SHOW),
    Route("HEAD", "/v1/uploads/{upload}", uploads.show, of_uploads.SHOW),
    Route("DELETE", "/v1/uploads/{upload}", uploads.delete, of_uploads.DELETE),
    Route("GET", "/v1/admin/dead", dead.listing, of_dead.LISTING),
    Route("GET", "/v1/admin/dead/count", dead.count, of_dead.COUNT),
    Route("GET", "/v1/admin/dead/export", dead.export, of_dead.EXPORT),
    Route("POST", "/v1/admin/dead/replay", dead.replay_page, of_dead.REPLAY_PAGE),
    Route("POST", "/v1/admin/dead/purge", dead.purge, of_dead.PURGE),
    Route("GET", "/v1/admin/dead/{job}", dead.show, of_dead.SHOW),
    Route("POST", "/v1/admin/dead/{job}/replay", dead.replay, of_dead.REPLAY),
    Route("GET", "/v1/admin/quarantine", dead.quarantine, of_dead.QUARANTINE),
    Route("GET", "/v1/admin/workers", workers.listing, of_cluster.WORKERS),
    Route("GET", "/v1/admin/stages", stages.listing, of_cluster.STAGES),
    Route("POST", "/v1/admin/stages/{stage}/pause", stages.pause, of_cluster.PAUSE),
    Route("POST", "/v1/admin/stages/{stage}/resume", stages.resume, of_cluster.RESUME),
    Route("GET", "/v1/admin/tenants/{tenant}", tenants.show, of_cluster.SHOW_TENANT),
    Route("PUT", "/v1/admin/tenants/{tenant}", tenants.change, of_cluster.CHANGE_TENANT),
    Route("GET", "/livez", health.livez, of_process.LIVEZ),
    Route("GET", "/readyz", health.readyz, of_process.READYZ),
    Route("GET", "/metrics", health.metrics, of_process.METRICS),
    Route("GET", "/openapi.json", openapi.document, of_process.DOCUMENT),
    Route("GET", "/docs", openapi.page, of_process.PAGE),
)


def build_application(context: Context) -> web.Application:
    """The application of one gateway."""
    application = web.Application(middlewares=(request_scope,), client_max_size=JSON_BODY_MOST_BYTES)
    application[CONTEXT] = context
    application[openapi.DESCRIPTION] = openapi.Description(ROUTES)
    application.on_response_prepare.append(prepare_headers)
    for route in ROUTES:
        duty = duty_of(route.path)
        is_served = duty is None or duty in context.settings.gateway.serve
        handler = route.handler if is_served else not_served
        application.router.add_route(route.method, route.path, handler, expect_handler=ask_later)
    return application
