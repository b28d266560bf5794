"""`/v1/admin/workers`: who works here now."""

import msgspec
from aiohttp import web

from actors.kernel import persist
from actors.kernel.presence import WorkerFacts, list_workers
from gateway.http.context import context_of
from gateway.http.queries import NoQuery, read_query
from gateway.http.responses import json_response
from gateway.streams.reader import PATIENCE_S
from gateway.times import Timestamp, timestamp


class WorkerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One worker: a process that takes work of one stage and lane. `quarantine`: it takes only what is replayed to that
    name."""

    name: str
    stage: str
    lane: str
    slots: int
    running: int
    draining: bool
    quarantine: str | None
    host: str
    pid: int
    version: str
    started_at: Timestamp
    seen_at: Timestamp


class WorkersDocument(msgspec.Struct, frozen=True):
    """The workers that announced themselves lately."""

    workers: tuple[WorkerDocument, ...]


async def listing(request: web.Request) -> web.Response:
    """The workers that announced themselves lately, by stage, lane and name."""
    context = context_of(request)
    read_query(request, NoQuery)
    workers = await persist(lambda: list_workers(context.redis), patience_s=PATIENCE_S)
    return json_response(msgspec.json.encode(WorkersDocument(tuple(map(_document, workers)))))


def _document(worker: WorkerFacts) -> WorkerDocument:
    return WorkerDocument(
        name=worker.name,
        stage=worker.stage,
        lane=worker.lane,
        slots=worker.slots,
        running=worker.running,
        draining=worker.draining,
        quarantine=worker.quarantine or None,
        host=worker.host,
        pid=worker.pid,
        version=worker.version,
        started_at=timestamp(worker.started_at_ms),
        seen_at=timestamp(worker.seen_at_ms),
    )
