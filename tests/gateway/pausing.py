"""A pump that stands still for a while, as the one of a suspended process does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.http.service import GatewayService


@asynccontextmanager
async def paused(gateway: GatewayService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Keeps the pump of `gateway` from reading."""
    (tail,) = gateway.context.pump.tails
    original, waiting, resume = tail._round, asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await resume.wait()
        await original()

    monkeypatch.setattr(tail, "_round", wait)
    await waiting.wait()
    yield
    monkeypatch.setattr(tail, "_round", original)
    resume.set()
