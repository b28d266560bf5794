"""Gateways that are replaced while clients connect all the time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.keys import KEY
from tests.gateway.scripted_worker import ScriptedWorker
from tests.watchers.gateways import GatewayProcess, gateways
from tests.watchers.nginx import needs_nginx, nginx

EVERY_S = 0.002
"""New connections: 500 a second."""
ANSWERED_WITHIN_S = 10.0


async def _visit(port: int, job: str) -> str:
    """What became of one connection with one request."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return "refused"
    try:
        writer.write(
            f"GET /v1/jobs/{job} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {KEY}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            answer = await reader.read()
    except ConnectionError:
        return "reset"
    finally:
        writer.transport.abort()
    if not answer:
        return "closed"
    return answer.split(b" ", 2)[1].decode()


@asynccontextmanager
async def _visitors(port: int, job: str, seen: Counter[str]) -> AsyncIterator[None]:
    """New ones all the time, until the end; `seen` is what became of them."""

    async def come() -> None:
        visits: list[asyncio.Task[str]] = []
        began_s = asyncio.get_running_loop().time()
        try:
            while True:
                visits.append(asyncio.create_task(_visit(port, job)))
                visits[-1].add_done_callback(lambda done: None if done.cancelled() else seen.update([done.result()]))
                # What came late is made up for.
                await asyncio.sleep(began_s + len(visits) * EVERY_S - asyncio.get_running_loop().time())
        finally:
            await asyncio.gather(*visits)

    coming = asyncio.create_task(come())
    try:
        yield
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _restarted_one_by_one(gateways_: list[GatewayProcess], seen: Counter[str]) -> None:
    for gateway in gateways_:
        before = seen["200"]
        await _until(lambda before=before: seen["200"] > before + 500)  # type: ignore[misc]
        assert await gateway.end() == 0
        await gateway.start()
    before = seen["200"]
    await _until(lambda: seen["200"] > before + 500)


async def test_one_gateway_that_is_restarted_refuses_meanwhile_and_resets_nobody(
    tmp_path: Path, redis_url: str, worker: ScriptedWorker
) -> None:
    """As in embedded mode, where the supervisor starts it again on its port: there is nobody else to ask."""
    job = await worker.submit()
    seen: Counter[str] = Counter()
    async with gateways(1, tmp_path, redis_url) as started, _visitors(started[0].port, job, seen):
        await _restarted_one_by_one(started, seen)
    assert set(seen) == {"200", "refused"}


@pytest.mark.heavy
@needs_nginx
async def test_two_gateways_behind_a_proxy_are_restarted_and_nobody_notices(
    tmp_path: Path, redis_url: str, worker: ScriptedWorker
) -> None:
    job = await worker.submit()
    seen: Counter[str] = Counter()
    async with (
        gateways(2, tmp_path, redis_url) as started,
        nginx(tmp_path, [gateway.port for gateway in started]) as port,
        _visitors(port, job, seen),
    ):
        await _restarted_one_by_one(started, seen)
    assert set(seen) == {"200"}


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
