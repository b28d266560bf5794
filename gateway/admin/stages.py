"""`/v1/admin/stages`: what waits and runs at each stage; pausing a stage and letting it go on."""

from collections import Counter
from difflib import get_close_matches

import msgspec
import redis.asyncio
import structlog
from aiohttp import web

from actors.kernel import Partitions, persist
from actors.kernel.keys import PRIORITIES, Lane
from actors.kernel.pauses import Pause
from actors.kernel.presence import WorkerFacts, list_workers
from actors.kernel.system_scripts import SystemScripts
from gateway.http.bodies import Field, read_fields, read_object, refused
from gateway.http.context import context_of, principal_of
from gateway.http.problems import Problem
from gateway.http.requests import parameters, send_continue
from gateway.http.responses import json_response
from gateway.streams.reader import PATIENCE_S
from gateway.times import timestamp

LANES: dict[str, tuple[Lane, ...]] = {
    "ingest": ("cpu",),
    "fetch": ("cpu",),
    "transcode": ("cpu", "gpu"),
    "store": ("cpu",),
    "notify": ("cpu",),
}
STAGES = tuple(LANES)
INBOXES = ("again", "alone", *PRIORITIES)
Inbox = tuple[str, Lane, str]
"""Stage, lane and name."""
_INBOXES: list[Inbox] = [(stage, lane, name) for stage, lanes in LANES.items() for lane in lanes for name in INBOXES]
MOST_CHARACTERS = 500

_log = structlog.get_logger(__name__)


class PauseDocument(msgspec.Struct, frozen=True):
    """Who paused a stage, when and why."""

    by: str
    at: str
    reason: str


class InboxDocument(msgspec.Struct, frozen=True):
    """What waits in one inbox, all partitions together. `oldest_s`: how long the oldest of it has waited."""

    lane: Lane
    inbox: str
    waiting: int
    oldest_s: float | None


class StageDocument(msgspec.Struct, frozen=True):
    """One stage. `running` is what its workers said a few seconds ago."""

    stage: str
    paused: PauseDocument | None
    waiting: int
    running: int
    workers: int
    slots: int
    inboxes: tuple[InboxDocument, ...]


class JobsDocument(msgspec.Struct, frozen=True):
    """All jobs of the installation. `held` are also those that wait for their children."""

    waiting: int
    running: int
    delayed: int
    held: int
    dead: int
    quarantined: int


class _Figures(msgspec.Struct):
    """Sums over the partitions."""

    running: int = 0
    delayed: int = 0
    active: int = 0
    dead: int = 0
    quarantined: int = 0
    waiting: Counter[Inbox] = msgspec.field(default_factory=Counter)
    oldest_ms: dict[Inbox, int] = msgspec.field(default_factory=dict)


async def listing(request: web.Request) -> web.Response:
    """Every stage with its inboxes, its workers and its pause, and how many jobs there are."""
    context = context_of(request)
    parameters(request)
    paused = {pause.stage: pause for pause in await persist(context.pauses.list, patience_s=PATIENCE_S)}
    workers = await persist(lambda: list_workers(context.redis), patience_s=PATIENCE_S)
    figures = await persist(lambda: _survey(context.redis, context.partitions), patience_s=PATIENCE_S)
    waiting = figures.waiting.total()
    held = max(0, figures.active - figures.running - figures.delayed - waiting)
    jobs = JobsDocument(waiting, figures.running, figures.delayed, held, figures.dead, figures.quarantined)
    stages = [
        _document(stage, paused.get(stage), [worker for worker in workers if worker.stage == stage], figures)
        for stage in STAGES
    ]
    return json_response(msgspec.json.encode({"jobs": jobs, "stages": stages}))


async def pause(request: web.Request) -> web.Response:
    """Nothing more is taken at this stage; what runs goes on."""
    context, stage, by = context_of(request), _stage(request), principal_of(request).name
    await send_continue(request)
    body = await request.read()
    errors, values = read_fields(read_object(body) if body else {}, _PAUSE)
    if errors:
        raise refused(errors)
    paused = await persist(lambda: context.pauses.pause(stage, by, values.get("reason", "")), patience_s=PATIENCE_S)
    _log.info("stage.paused", stage=stage, by=by, reason=paused.reason)
    return json_response(msgspec.json.encode({"stage": stage, "paused": _pause_document(paused)}))


async def resume(request: web.Request) -> web.Response:
    """Work is taken again. A stage that was not paused stays as it is."""
    context, stage = context_of(request), _stage(request)
    if await persist(lambda: context.pauses.resume(stage), patience_s=PATIENCE_S):
        _log.info("stage.resumed", stage=stage, by=principal_of(request).name)
    return json_response(msgspec.json.encode({"stage": stage, "paused": None}))


def _reason(value: str) -> str:
    if len(value) > MOST_CHARACTERS:
        raise ValueError(value)
    return value


_PAUSE = {"reason": Field(str, f"a text of at most {MOST_CHARACTERS} characters", _reason)}


def _stage(request: web.Request) -> str:
    parameters(request)
    stage = request.match_info["stage"]
    if stage not in STAGES:
        close = get_close_matches(stage.lower(), STAGES, n=1)
        suggestion = f"Did you mean `{close[0]}`?" if close else f"The stages are {', '.join(STAGES)}."
        raise Problem("STAGE_NOT_FOUND", suggestion=suggestion)
    return stage


def _document(stage: str, paused: Pause | None, workers: list[WorkerFacts], figures: _Figures) -> StageDocument:
    inboxes = [inbox for inbox in _INBOXES if inbox[0] == stage]
    return StageDocument(
        stage=stage,
        paused=None if paused is None else _pause_document(paused),
        waiting=sum(figures.waiting[inbox] for inbox in inboxes),
        running=sum(worker.running for worker in workers),
        workers=len(workers),
        slots=sum(worker.slots for worker in workers if not worker.draining and not worker.quarantine),
        inboxes=tuple(_inbox_document(inbox, figures) for inbox in inboxes),
    )


def _inbox_document(inbox: Inbox, figures: _Figures) -> InboxDocument:
    _, lane, name = inbox
    oldest_ms = figures.oldest_ms.get(inbox)
    return InboxDocument(lane, name, figures.waiting[inbox], None if oldest_ms is None else oldest_ms / 1000)


def _pause_document(paused: Pause) -> PauseDocument:
    return PauseDocument(paused.by, timestamp(paused.at_ms), paused.reason)


async def _survey(client: redis.asyncio.Redis, partitions: Partitions) -> _Figures:
    scripts, figures = SystemScripts(client), _Figures()
    for partition in partitions:
        keys = partitions.keys(partition)
        sets = [keys.leases, keys.due, keys.active, keys.dead, f"{keys.root}quarantine"]
        reply = await scripts.call("survey", [*sets, *(keys.inbox(*inbox) for inbox in _INBOXES)])
        now_ms, running, delayed, active, dead, quarantined, *counts = map(int, reply)
        figures.running += running
        figures.delayed += delayed
        figures.active += active
        figures.dead += dead
        figures.quarantined += quarantined
        for inbox, waiting, since_ms in zip(_INBOXES, counts[::2], counts[1::2], strict=True):
            figures.waiting[inbox] += waiting
            if since_ms:
                age_ms = max(0, now_ms - since_ms)
                figures.oldest_ms[inbox] = max(age_ms, figures.oldest_ms.get(inbox, 0))
    return figures
