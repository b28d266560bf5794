"""An operator's requests, and dead letters for them, in an installation of sixteen partitions."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import redis.asyncio

from actors.kernel import Partitions
from tests.gateway.conftest import StartGateway, client_of
from tests.gateway.scripted_worker import ScriptedWorker

SIXTEEN = 16
ALL: dict[str, Any] = {"filter": {}}


@pytest.fixture
def many() -> Partitions:
    return Partitions(SIXTEEN)


@pytest.fixture
async def spread(redis_client: redis.asyncio.Redis, many: Partitions) -> ScriptedWorker:
    """A worker in an installation of sixteen partitions."""
    return ScriptedWorker(redis_client, many)


@pytest.fixture
async def admin(start_gateway: StartGateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with client_of(await start_gateway(redis__partitions=SIXTEEN)) as session:
        yield session


async def die(worker: ScriptedWorker, tenant: str = "default", **fields: object) -> str:
    """A job that failed for good at its first stage."""
    job = await worker.submit(tenant, **fields)
    await worker.fail(await worker.take("ingest", job))
    return job


async def get(admin: aiohttp.ClientSession, path: str, status: int = 200) -> Any:
    async with admin.get(path) as response:
        document = await response.json(content_type=None)
        assert response.status == status, document
        return document


async def post(admin: aiohttp.ClientSession, path: str, body: object = None, status: int = 200) -> Any:
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    async with admin.post(path, data=data) as response:
        document = await response.json(content_type=None)
        assert response.status == status, document
        return document


async def every_page(admin: aiohttp.ClientSession, query: str) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = await get(admin, f"/v1/admin/dead?{query}{cursor}")
        found += [letter["job"] for letter in page["dead"]]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"
