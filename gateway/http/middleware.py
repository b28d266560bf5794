"""Around every request: its id, its problem document when it fails, its line in the log and its metrics."""

import math
import random
import re
import time

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from redis.exceptions import RedisError

from actors.kernel import BodyTooLarge, StoreFull, StoreUnavailable, UnknownJobId, is_full, means_wait
from actors.storage.room import NO_SPACE
from gateway.http.context import PRINCIPAL, REQUEST_ID, STANDING, context_of
from gateway.http.duties import EVENTS, STREAMS
from gateway.http.problems import Problem, of_http_error, render
from gateway.http.rate import RATE_LIMIT, RATE_LIMIT_POLICY, rate_field
from gateway.http.requests import wants_event_stream
from gateway.ids import new_request_id
from gateway.principal import Principal

OPEN_PATHS = frozenset({"/livez", "/readyz", "/openapi.json", "/docs"})
_INTRODUCED_LATER = frozenset({"/v1/ws"})
"""Where a client that cannot send headers says who it is in its first message."""
_RESPONSE: web.RequestKey[web.StreamResponse] = web.RequestKey("response", web.StreamResponse)
UNCOUNTED = frozenset({"/metrics", "/v1/ws"})
"""Routes that need a key and spend nothing of its quota."""
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_TRANSFERS = STREAMS | {"/v1/jobs/{job}/outputs/{name}", "/v1/uploads", "/v1/admin/dead/export"}

_log = structlog.get_logger(__name__)


@web.middleware
async def request_scope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The only layer: nothing that a handler raises passes it but the end of the process.

    One and not one for each purpose, since a stream keeps the frame of each for hours.
    """
    sent = request.headers.get("X-Request-Id", "")
    request_id = request[REQUEST_ID] = sent if _ACCEPTED_ID.fullmatch(sent) else new_request_id()
    began_s = time.perf_counter()
    try:
        _admit(request)
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - what is not known is logged and answered as INTERNAL
        response = _refusal(request, error, request_id)
    _record(request, response.status, time.perf_counter() - began_s, request_id)
    return response


def _admit(request: web.Request) -> None:
    """Every route but the health checks and the description needs a key. What does not exist is said to everybody."""
    authorization = request.headers.get("Authorization")
    needs_none = request.path in OPEN_PATHS or (request.path in _INTRODUCED_LATER and authorization is None)
    if request.match_info.http_exception is None and not needs_none:
        principal = request[PRINCIPAL] = context_of(request).authenticator.authenticate(authorization)
        _spend(request, principal)


def _spend(request: web.Request, principal: Principal) -> None:
    """Counts the request. Raises Problem RATE_LIMITED when its principal's quota is spent.

    Streams have a limit of their own: an EventSource that is refused with 429 never comes back.
    """
    rate, route = context_of(request).rate, _route(request)
    if rate is None or route in UNCOUNTED or (route in EVENTS and wants_event_stream(request.headers)):
        return
    standing = request[STANDING] = rate.spend(principal, time.monotonic())
    if not standing.allowed:
        # Whoever was refused together should not come back together.
        after_s = math.ceil(standing.after_s + random.random())
        raise Problem("RATE_LIMITED", headers={"Retry-After": str(after_s)})


async def prepare_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer, also of those that are streamed."""
    request[_RESPONSE] = response
    response.headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    response.headers["Server"] = "reelway"
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    rate, standing = context_of(request).rate, request.get(STANDING)
    if rate is not None and standing is not None:
        response.headers[RATE_LIMIT_POLICY.name] = rate.policy
        response.headers[RATE_LIMIT.name] = rate_field(standing)


def _refusal(request: web.Request, error: Exception, request_id: str) -> web.StreamResponse:
    begun: web.StreamResponse | None = request.get(_RESPONSE)
    failure = _problem(request, error, request_id)
    if begun is not None:
        # Its headers are out: a cut connection is the only way left to say that the body is not whole.
        if request.transport is not None:
            request.transport.abort()
        return begun
    return render(failure, request_id)


def _problem(request: web.Request, error: Exception, request_id: str) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        return of_http_error(error)
    if isinstance(error, ConnectionResetError | TimeoutError):
        _log.debug("request.abandoned", request_id=request_id, error=type(error).__name__)
        return Problem("REQUEST_TIMEOUT")
    known = _known(error)
    if known is None:
        _log.error("request.failed", request_id=request_id, route=_route(request), exc_info=error)
    return known or Problem("INTERNAL")


def _known(error: Exception) -> Problem | None:
    if isinstance(error, UnknownJobId):
        return Problem("JOB_NOT_FOUND")
    if isinstance(error, BodyTooLarge):
        return Problem("BODY_TOO_LARGE")
    if isinstance(error, StoreFull) or is_full(error):
        return Problem("STORE_FULL")
    if isinstance(error, StoreUnavailable) or (isinstance(error, RedisError) and means_wait(error)):
        return Problem("STORE_UNAVAILABLE")
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return Problem("DISK_FULL")
    return None


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


def _record(request: web.Request, status: int, duration_s: float, request_id: str) -> None:
    route = _route(request)
    metrics = context_of(request).metrics
    metrics.requests.labels(route, request.method, status).inc()
    if route not in _TRANSFERS:
        metrics.request_seconds.labels(route).observe(duration_s)
    principal = request.get(PRINCIPAL)
    log = _log.debug if route in OPEN_PATHS or route == "/metrics" else _log.info
    # The path without its query: an upload's name is nobody's business, and tokens do not belong there at all.
    log(
        "request.answered",
        method=request.method,
        path=request.rel_url.raw_path,
        status=status,
        duration_s=round(duration_s, 4),
        request_id=request_id,
        by=principal.name if principal is not None else None,
    )
