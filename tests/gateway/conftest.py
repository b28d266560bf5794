"""A gateway on a free port in the test's own event loop, a scripted worker behind it and clients in front of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import redis.asyncio

from actors.kernel import Partitions, RedisOptions, connect
from actors.settings import Settings, load
from gateway.http.service import GatewayService
from tests.gateway.keys import KEY
from tests.gateway.scripted_worker import ScriptedWorker
from tests.gateway.sse_client import SseClient
from tests.gateway.ws_client import WsClient

MakeSettings = Callable[..., Settings]
StartGateway = Callable[..., Awaitable[GatewayService]]
OpenStream = Callable[..., Awaitable[SseClient]]
OpenSocket = Callable[..., Awaitable[WsClient]]

__all__ = ["KEY"]


@pytest.fixture
def make_settings(tmp_path: Path, redis_url: str) -> MakeSettings:
    def make(**overrides: object) -> Settings:
        values = {
            "data_dir": str(tmp_path),
            "redis.url": redis_url,
            "redis.partitions": 1,
            "gateway.key": KEY,
            "gateway.port": 0,
            "storage.min_free_bytes": 0,
            # Jobs of one tenant are queued side by side; tests of held jobs say otherwise.
            "kernel.window": 1000,
        }
        values |= {name.replace("__", "."): value for name, value in overrides.items()}
        return load({}, overrides=values)

    return make


@pytest.fixture
async def start_gateway(make_settings: MakeSettings) -> AsyncIterator[StartGateway]:
    services: list[GatewayService] = []

    async def start(**overrides: object) -> GatewayService:
        service = GatewayService(make_settings(**overrides))
        services.append(service)
        await service.start()
        await service.ready()
        return service

    yield start
    for service in services:
        await service.stop()


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> GatewayService:
    return await start_gateway()


@pytest.fixture
async def api(gateway: GatewayService) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of `gateway` that carries the key."""
    async with client_of(gateway) as session:
        yield session


def client_of(gateway: GatewayService) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(gateway.url, headers={"Authorization": f"Bearer {KEY}"})


@pytest.fixture
async def worker(redis_client: redis.asyncio.Redis, partitions: Partitions) -> ScriptedWorker:
    return ScriptedWorker(redis_client, partitions)


@pytest.fixture
async def open_stream() -> AsyncIterator[OpenStream]:
    """Opens SSE connections on raw sockets and closes what is left of them."""
    clients: list[SseClient] = []

    async def open_(
        gateway: GatewayService, job: str, last_event_id: str | None = None, **options: object
    ) -> SseClient:
        client = await SseClient.open(gateway.port, job, KEY, last_event_id, **options)  # type: ignore[arg-type]
        clients.append(client)
        return client

    yield open_
    for client in clients:
        client.abort()


@pytest.fixture
async def own_redis_client(own_redis_server: object) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of the server that the test may kill and stop."""
    client = connect(RedisOptions(url=own_redis_server.url))  # type: ignore[attr-defined]
    yield client
    await client.aclose()


@pytest.fixture
async def open_socket() -> AsyncIterator[OpenSocket]:
    """Opens WebSockets and closes what is left of them."""
    clients: list[WsClient] = []

    async def open_(gateway: GatewayService, **options: object) -> WsClient:
        client = await WsClient.open(gateway, **options)  # type: ignore[arg-type]
        clients.append(client)
        return client

    yield open_
    for client in clients:
        await client.close()
