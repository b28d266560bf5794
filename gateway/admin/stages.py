"""`/v1/admin/stages`: what waits and runs at each stage; pausing a stage and letting it go on."""

from difflib import get_close_matches

import msgspec
import redis.asyncio
import structlog
from aiohttp import web

from actors.inboxes import INBOXES, LANES, Inbox, Stage
from actors.kernel import Partitions, persist
from actors.kernel.keys import Lane
from actors.kernel.pauses import Pause
from actors.kernel.presence import WorkerFacts, list_workers
from actors.kernel.system_scripts import SystemScripts
from actors.survey import Figures, read_figures
from gateway.admin.requests import PauseRequest
from gateway.http.bodies import read_body
from gateway.http.context import context_of, principal_of
from gateway.http.problems import Problem
from gateway.http.queries import NoQuery, read_query
from gateway.http.responses import json_response
from gateway.streams.reader import PATIENCE_S
from gateway.times import Timestamp, timestamp

STAGES = tuple(LANES)

_log = structlog.get_logger(__name__)


class PauseDocument(msgspec.Struct, frozen=True):
    """Who paused a stage, when and why."""

    by: str
    at: Timestamp
    reason: str


class StagePauseDocument(msgspec.Struct, frozen=True):
    """Whether a stage is paused; `paused` is null when it is not."""

    stage: Stage
    paused: PauseDocument | None


class InboxDocument(msgspec.Struct, frozen=True):
    """What waits in one inbox, all partitions together. `oldest_s`: how long the oldest of it has waited."""

    lane: Lane
    inbox: str
    waiting: int
    oldest_s: float | None


class StageDocument(msgspec.Struct, frozen=True):
    """One stage. `running` is what its workers said a few seconds ago."""

    stage: Stage
    paused: PauseDocument | None
    waiting: int
    running: int
    workers: int
    slots: int
    inboxes: tuple[InboxDocument, ...]


class JobCountsDocument(msgspec.Struct, frozen=True):
    """All jobs of the installation. `held` are also those that wait for their children."""

    waiting: int
    running: int
    delayed: int
    held: int
    dead: int
    quarantined: int


class StagesDocument(msgspec.Struct, frozen=True):
    """All stages, and all jobs together."""

    jobs: JobCountsDocument
    stages: tuple[StageDocument, ...]


async def listing(request: web.Request) -> web.Response:
    """Every stage with its inboxes, its workers and its pause, and how many jobs there are."""
    context = context_of(request)
    read_query(request, NoQuery)
    paused = {pause.stage: pause for pause in await persist(context.pauses.list, patience_s=PATIENCE_S)}
    workers = await persist(lambda: list_workers(context.redis), patience_s=PATIENCE_S)
    figures = await persist(lambda: _survey(context.redis, context.partitions), patience_s=PATIENCE_S)
    jobs = JobCountsDocument(
        waiting=sum(sum(each.waiting.values()) for each in figures),
        running=sum(each.running for each in figures),
        delayed=sum(each.delayed for each in figures),
        held=sum(each.held for each in figures),
        dead=sum(each.dead for each in figures),
        quarantined=sum(each.quarantined for each in figures),
    )
    stages = tuple(
        _document(stage, paused.get(stage), [worker for worker in workers if worker.stage == stage], figures)
        for stage in STAGES
    )
    return json_response(msgspec.json.encode(StagesDocument(jobs, stages)))


async def pause(request: web.Request) -> web.Response:
    """Nothing more is taken at this stage; what runs goes on."""
    context, stage, by = context_of(request), _stage(request), principal_of(request).name
    reason = (await read_body(request, PauseRequest)).reason
    paused = await persist(lambda: context.pauses.pause(stage, by, reason), patience_s=PATIENCE_S)
    _log.info("stage.paused", stage=stage, by=by, reason=paused.reason)
    return json_response(msgspec.json.encode(StagePauseDocument(stage, _pause_document(paused))))


async def resume(request: web.Request) -> web.Response:
    """Work is taken again. A stage that was not paused stays as it is."""
    context, stage = context_of(request), _stage(request)
    if await persist(lambda: context.pauses.resume(stage), patience_s=PATIENCE_S):
        _log.info("stage.resumed", stage=stage, by=principal_of(request).name)
    return json_response(msgspec.json.encode(StagePauseDocument(stage, None)))


def _stage(request: web.Request) -> Stage:
    read_query(request, NoQuery)
    asked = request.match_info["stage"]
    for stage in STAGES:
        if stage == asked:
            return stage
    close = get_close_matches(asked.lower(), STAGES, n=1)
    suggestion = f"Did you mean `{close[0]}`?" if close else f"The stages are {', '.join(STAGES)}."
    raise Problem("STAGE_NOT_FOUND", suggestion=suggestion)


def _document(stage: Stage, paused: Pause | None, workers: list[WorkerFacts], figures: list[Figures]) -> StageDocument:
    documents = tuple(_inbox_document(inbox, figures) for inbox in INBOXES if inbox[0] == stage)
    return StageDocument(
        stage=stage,
        paused=None if paused is None else _pause_document(paused),
        waiting=sum(document.waiting for document in documents),
        running=sum(worker.running for worker in workers),
        workers=len(workers),
        slots=sum(worker.slots for worker in workers if not worker.draining and not worker.quarantine),
        inboxes=documents,
    )


def _inbox_document(inbox: Inbox, figures: list[Figures]) -> InboxDocument:
    _, lane, name = inbox
    ages_s = [each.oldest_s[inbox] for each in figures if inbox in each.oldest_s]
    return InboxDocument(lane, name, sum(each.waiting[inbox] for each in figures), max(ages_s, default=None))


def _pause_document(paused: Pause) -> PauseDocument:
    return PauseDocument(paused.by, timestamp(paused.at_ms), paused.reason)


async def _survey(client: redis.asyncio.Redis, partitions: Partitions) -> list[Figures]:
    scripts = SystemScripts(client)
    return [await read_figures(scripts, partitions.keys(partition)) for partition in partitions]
