"""`/v1/admin/tenants/{tenant}`: how many jobs of a tenant are under way, and how many may be."""

import msgspec
import structlog
from aiohttp import web

from actors.kernel import persist
from gateway.admin.requests import LimitRequest
from gateway.http.bodies import read_body
from gateway.http.context import Context, context_of, principal_of
from gateway.http.problems import Problem
from gateway.http.queries import NoQuery, read_query
from gateway.http.responses import json_response
from gateway.streams.reader import PATIENCE_S

MOST_CHARACTERS = 128

_log = structlog.get_logger(__name__)


class TenantDocument(msgspec.Struct, frozen=True):
    """`limit` is the tenant's own one, null where the installation's `default_limit` holds; 0 is no limit."""

    tenant: str
    partition: str
    running: int
    held: int
    limit: int | None
    default_limit: int


async def show(request: web.Request) -> web.Response:
    """A tenant's jobs under way and its limit. A tenant that nobody has heard of has none."""
    context, tenant = context_of(request), _tenant(request)
    return json_response(msgspec.json.encode(await persist(lambda: _read(context, tenant), patience_s=PATIENCE_S)))


async def change(request: web.Request) -> web.Response:
    """Sets the limit, or with null takes the tenant's own one away. Held jobs that have room now go on at once."""
    context, tenant = context_of(request), _tenant(request)
    limit = (await read_body(request, LimitRequest)).limit
    await persist(lambda: context.keeper.set_limit(tenant, limit), patience_s=PATIENCE_S)
    _log.info("tenant.limited", tenant=tenant, limit=limit, by=principal_of(request).name)
    return json_response(msgspec.json.encode(await persist(lambda: _read(context, tenant), patience_s=PATIENCE_S)))


def _tenant(request: web.Request) -> str:
    read_query(request, NoQuery)
    tenant = request.match_info["tenant"]
    if not (len(tenant) <= MOST_CHARACTERS and tenant.isprintable() and " " not in tenant):
        raise Problem("BAD_REQUEST", detail="This cannot be the name of a tenant.")
    return tenant


async def _read(context: Context, tenant: str) -> TenantDocument:
    partition = context.partitions.of_tenant(tenant)
    keys = context.partitions.keys(partition)
    async with context.redis.pipeline(transaction=False) as pipeline:
        pipeline.scard(keys.slots(tenant))
        pipeline.zcard(keys.held(tenant))
        running, held = await pipeline.execute()
    limit = await context.keeper.limit_of(tenant)
    return TenantDocument(tenant, partition, running, held, limit, context.kernel.tenant_limit)
