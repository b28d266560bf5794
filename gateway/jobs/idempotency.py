"""A request that was sent before: finds its job without looking at the request's sources again."""

from typing import Any

import redis.asyncio

from actors.kernel import Partitions, persist
from gateway.streams.reader import PATIENCE_S


async def find_earlier(
    client: redis.asyncio.Redis, partitions: Partitions, tenant: str, key: str, digest: str
) -> str | None:
    """The job that this tenant's key and this very request made; None when there is none.

    `submit` decides about keys. This is for a request that can no longer be submitted, because its upload is gone,
    although its job exists.
    """
    name = partitions.keys(partitions.of_tenant(tenant)).idempotency(tenant, key)
    claim: Any = await persist(lambda: client.get(name), patience_s=PATIENCE_S)
    if claim is None:
        return None
    job, _, made_by = str(claim, "utf-8").partition(" ")
    return job if made_by == digest else None
