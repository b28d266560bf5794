"""A gateway in the test's own event loop, clients of it, and a wire between the two that the test can cut."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from gateway.client import Client
from gateway.http.service import GatewayService
from tests.client.wire import Wire
from tests.command.conftest import reelway
from tests.gateway.conftest import KEY, gateway, make_settings, start_gateway, worker
from tests.media_samples import ffmpeg, media_factory

__all__ = ["ffmpeg", "gateway", "make_settings", "media_factory", "reelway", "start_gateway", "worker"]

MakeClient = Callable[..., Client]


@pytest.fixture
async def make_client() -> AsyncIterator[MakeClient]:
    """Clients that are closed when the test has ended."""
    async with AsyncExitStack() as stack:
        clients: list[Client] = []

        def make(url: str, key: str = KEY, **options: float) -> Client:
            clients.append(Client(url, key, **options))
            stack.push_async_callback(clients[-1].close)
            return clients[-1]

        yield make


@pytest.fixture
async def wire(gateway: GatewayService) -> AsyncIterator[Wire]:
    """A wire to `gateway`."""
    async with Wire(gateway.port) as wire:
        yield wire


@pytest.fixture
def client(make_client: MakeClient, gateway: GatewayService) -> Client:
    """A client of `gateway`, without anything in between."""
    return make_client(gateway.url)


@pytest.fixture
def wired(make_client: MakeClient, wire: Wire) -> Client:
    """A client of `gateway` at the other end of `wire`."""
    return make_client(wire.url)
