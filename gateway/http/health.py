"""Whether this process lives, whether it can serve, and its metrics."""

import asyncio

import msgspec
from aiohttp import web
from redis.exceptions import RedisError

from actors.kernel import ping_all
from gateway.http.context import Context, context_of
from gateway.http.duties import hears_events
from gateway.http.metrics import CONTENT_TYPE
from gateway.http.responses import json_response

LONGEST_LAG_S = 5.0
PING_TIMEOUT_S = 1.0


class Readiness(msgspec.Struct, frozen=True):
    """The parts of readiness. `pump_lag_s` is null before the pump has started, and in a process that has none."""

    ready: bool
    redis: bool
    pump_lag_s: float | None
    draining: bool


class Liveness(msgspec.Struct, frozen=True):
    """The event loop turns."""

    live: bool


async def livez(_request: web.Request) -> web.Response:
    """The event loop turns."""
    return json_response(msgspec.json.encode(Liveness(live=True)))


async def readyz(request: web.Request) -> web.Response:
    """Redis answers, events arrive, and the process is not being stopped."""
    readiness = await readiness_of(context_of(request))
    return json_response(msgspec.json.encode(readiness), status=200 if readiness.ready else 503)


async def metrics(request: web.Request) -> web.Response:
    """Prometheus text."""
    context = context_of(request)
    known = context.metrics
    known.events_in.set(context.pump.events)
    known.events_out.set(context.hub.delivered)
    known.pump_lag_seconds.set(context.pump.lag_s)
    known.pump_restarts.set(context.pump.restarts)
    known.holes.set(context.pump.holes)
    known.reads.set(context.reader.calls)
    return web.Response(body=known.render(), headers={"Content-Type": CONTENT_TYPE})


async def readiness_of(context: Context) -> Readiness:
    """Looks at every part."""
    lag_s = context.pump.lag_s
    hears = not hears_events(context.settings.gateway.serve) or (lag_s < LONGEST_LAG_S and context.pump.connected)
    answers = await _redis_answers(context)
    draining = context.streams.draining
    return Readiness(
        ready=answers and hears and not draining,
        redis=answers,
        pump_lag_s=round(lag_s, 3) if context.pump.started.is_set() else None,
        draining=draining,
    )


async def _redis_answers(context: Context) -> bool:
    try:
        async with asyncio.timeout(PING_TIMEOUT_S):
            await ping_all(context.redis)
            return True
    except (RedisError, OSError, TimeoutError):
        return False
