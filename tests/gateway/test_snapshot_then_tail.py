"""Nothing falls between the snapshot of a job and its tail, and nothing comes twice."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.http.service import GatewayService
from gateway.streams.reader import JobReader, Reading
from tests.gateway.conftest import OpenStream
from tests.gateway.polling import eventually
from tests.gateway.scripted_worker import ScriptedWorker

WHOLE = ["job.started", *["job.stage", "job.started"] * 3, "job.completed"]


async def _with_barrier(
    reader: JobReader, monkeypatch: pytest.MonkeyPatch, before: Callable[[], Awaitable[object]] | None = None,
    after: Callable[[], Awaitable[object]] | None = None,
) -> None:  # fmt: skip
    read = JobReader.read
    done = False

    async def between(self: JobReader, job: str) -> Reading:
        nonlocal done
        first, done = not done, True
        if first and before is not None:
            await before()
        reading = await read(self, job)
        if first and after is not None:
            await after()
        return reading

    monkeypatch.setattr(type(reader), "read", between)


async def _heard(gateway: GatewayService, events: int) -> None:
    await eventually(lambda: gateway.context.pump.events >= events)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_event_around_the_snapshot_is_delivered_exactly_once(
    gateway: GatewayService,
    worker: ScriptedWorker,
    open_stream: OpenStream,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    """The tail has delivered it before the snapshot is read, or between reading and writing the snapshot."""
    job = await worker.submit()
    await _heard(gateway, 1)

    async def happen() -> None:
        await worker.take("ingest")
        await _heard(gateway, 2)

    await _with_barrier(gateway.context.reader, monkeypatch, **{when: happen})
    stream = await open_stream(gateway, job)
    snapshot = await stream.until("snapshot")
    assert snapshot.rev == (2 if when == "before" else 1)
    await worker.submitter.cancel(job, "test")
    await asyncio.sleep(0)
    if when == "after":
        assert (await stream.next()).event == "job.started"
    waiting = asyncio.ensure_future(stream.next())
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done, "nothing else was delivered"
    waiting.cancel()


async def test_a_read_that_began_before_a_watcher_came_is_not_shared_with_it(
    gateway: GatewayService, worker: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await worker.submit()
    reader = gateway.context.reader
    answered = asyncio.Event()
    original = reader._read

    async def slow(partition: str, jobs: tuple[str, ...]) -> list[Reading]:
        readings = await original(partition, jobs)
        await answered.wait()
        return readings

    monkeypatch.setattr(reader, "_read", slow)
    early = asyncio.create_task(reader.read(job))
    await eventually(lambda: reader.calls)
    await worker.take("ingest")
    others = [await worker.submit() for _ in range(2)]
    late = [asyncio.create_task(reader.read(wanted)) for wanted in (job, job, *others)]
    await asyncio.sleep(0.05)
    assert reader.calls == 1, "one after the other, so that many become few"
    answered.set()
    views = [reading.view for reading in (await early, *await asyncio.gather(*late))]
    assert [(view.job, view.rev) for view in views if view] == [(job, 1), (job, 2), (job, 2), *((o, 1) for o in others)]
    assert reader.calls == 2
