"""A task that is cancelled, wherever it waits, leaves no connection behind; an iterator that is closed neither."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.client import Client, Output
from gateway.http.service import GatewayService
from tests.client.test_files import DATA, publish
from tests.client.wire import Plan, Wire
from tests.gateway.conftest import KEY
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker

Call = Callable[[Client, str, Output, Path], Coroutine[Any, Any, object]]


async def _watch(client: Client, job: str) -> None:
    async for _ in client.watch(job):
        pass


async def _watch_tenant(client: Client) -> None:
    async for _ in client.watch_tenant():
        pass


async def _list(client: Client) -> None:
    async for _ in client.jobs():
        pass


CALLS: dict[str, Call] = {
    "submit": lambda client, _job, _output, _to: client.submit("https://a.example/b", "mp3"),
    "job": lambda client, job, _output, _to: client.job(job),
    "jobs": lambda client, _job, _output, _to: _list(client),
    "wait": lambda client, job, _output, _to: client.wait(job),
    "events": lambda client, job, _output, _to: client.events(job),
    "watch": lambda client, job, _output, _to: _watch(client, job),
    "watch_tenant": lambda client, _job, _output, _to: _watch_tenant(client),
    "upload": lambda client, _job, _output, _to: client.upload(DATA),
    "download": lambda client, _job, output, to: client.download(output, to),
}

PLACES = {"download": (0, 60, 1000, 500_000), "wait": (0,)}
"""After so many bytes of the answer, where (0, 60) will not do: a wait has none for long."""


@pytest.mark.parametrize("name", CALLS)
async def test_a_cancelled_task_leaves_no_connection(
    gateway: GatewayService, worker: ScriptedWorker, client: Client, tmp_path: Path, name: str
) -> None:
    (output,) = (await publish(gateway, worker, client)).outputs
    job = await worker.submit()

    async def cancelled(plan: Plan, is_time: Callable[[Wire], bool] | None, turns: int = 0) -> None:
        # No call ends by itself: the wire goes dead before the answer is whole.
        async with Wire(gateway.port, [plan]) as wire, Client(wire.url, KEY) as wired:
            task = asyncio.create_task(CALLS[name](wired, job, output, tmp_path / "got"))
            for _ in range(turns):
                await asyncio.sleep(0)
            if is_time is not None:
                await eventually(lambda: is_time(wire))
            task.cancel()
            await asyncio.wait((task,), timeout=5)
            assert task.cancelled()
            await _accept_all(wire)
            await eventually(lambda: wire.open == 0)

    for turns in range(24):
        await cancelled(Plan(dead_after_bytes=0), None, turns)
    for size in PLACES.get(name, (0, 60)):
        await cancelled(Plan(dead_after_bytes=size), functools.partial(_has_gone_dead, size))


def _has_gone_dead(size: int, wire: Wire) -> bool:
    return bool(wire.sent) and len(wire.received) >= size


async def _accept_all(wire: Wire) -> None:
    """Returns when every connection that was made before is known to the wire: they are accepted in their order."""
    _, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    own_port = writer.get_extra_info("sockname")[1]
    await eventually(lambda: wire.last_port == own_port)
    writer.transport.abort()


async def test_a_closed_iterator_leaves_no_connection(wire: Wire, wired: Client, worker: ScriptedWorker) -> None:
    job = await worker.submit()
    async with aclosing(wired.watch(job)) as events:
        assert (await anext(events)).type == "snapshot"
        assert wire.open == 1
    await eventually(lambda: wire.open == 0)
    events = wired.watch(job)
    await anext(events)
    await wired.close()
    await eventually(lambda: wire.open == 0)
    await events.aclose()


async def test_cancelling_a_pause_between_two_tries(wire: Wire, worker: ScriptedWorker) -> None:
    job = await worker.submit()
    wire.asks_for_patience = True
    async with Client(wire.url, KEY) as client:
        task = asyncio.create_task(_watch(client, job))
        await eventually(lambda: b"snapshot" in wire.received)
        wire.cut()
        await eventually(lambda: wire.open == 0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 1)
        assert task.cancelled()
    assert (wire.connections, wire.open) == (1, 0)
