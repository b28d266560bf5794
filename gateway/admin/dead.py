"""`/v1/admin/dead`: list, count, show, export, replay and purge dead letters; `/v1/admin/quarantine`."""

import msgspec
import structlog
from aiohttp import web

from actors.kernel import persist
from actors.kernel.quarantine import list_quarantined
from actors.kernel.replay import Replay
from gateway.admin.documents import (
    DeadPage,
    PurgedPage,
    QuarantinePage,
    ReplaysPage,
    count_document,
    dead_document,
    detail_document,
    quarantined_document,
)
from gateway.admin.requests import (
    DeadLetterFilter,
    DeadQuery,
    PurgeRequest,
    QuarantineQuery,
    ReplayPageRequest,
    ReplayRequest,
)
from gateway.http.bodies import read_body
from gateway.http.context import context_of, principal_of
from gateway.http.problems import Problem
from gateway.http.queries import NoQuery, read_query
from gateway.http.responses import json_response
from gateway.streams.reader import PATIENCE_S

_log = structlog.get_logger(__name__)


async def listing(request: web.Request) -> web.Response:
    """Dead letters of all tenants, newest first, page by page."""
    context = context_of(request)
    query = read_query(request, DeadQuery)
    try:
        letters, following = await persist(
            lambda: context.dead.page(query.to_kernel(), before=query.cursor, limit=query.limit),
            patience_s=PATIENCE_S,
        )
    except ValueError:
        raise Problem("INVALID_CURSOR") from None
    return _json(DeadPage(tuple(map(dead_document, letters)), following))


async def count(request: web.Request) -> web.Response:
    """How many there are, by stage, why and code; of very many, the newest are looked at."""
    context = context_of(request)
    wanted = read_query(request, DeadLetterFilter).to_kernel()
    counted = await persist(lambda: context.dead.count(wanted), patience_s=PATIENCE_S)
    return _json(count_document(counted))


async def show(request: web.Request) -> web.Response:
    """One dead letter with all that is left of its job."""
    context = context_of(request)
    read_query(request, NoQuery)
    job = request.match_info["job"]
    detail = await persist(lambda: context.dead.show(job), patience_s=PATIENCE_S)
    if detail is None:
        raise Problem("DEAD_LETTER_NOT_FOUND")
    return _json(detail_document(detail))


async def export(request: web.Request) -> web.StreamResponse:
    """Every dead letter in full, one JSON object a line, newest first."""
    context = context_of(request)
    details = context.dead.export(read_query(request, DeadLetterFilter).to_kernel())
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "Content-Type": "application/x-ndjson"})
    try:
        # What prevents the export at all is said before its headers are.
        detail = await anext(details, None)
        await response.prepare(request)
        while detail is not None:
            await response.write(msgspec.json.encode(detail_document(detail)) + b"\n")
            detail = await anext(details, None)
        await response.write_eof()
    finally:
        await details.aclose()
    return response


async def replay(request: web.Request) -> web.Response:
    """One job again, with full budgets and a new deadline. A job that is on its way again already is no error."""
    context = context_of(request)
    read_query(request, NoQuery)
    how = await read_body(request, ReplayRequest)
    job = request.match_info["job"]
    replayed = await context.replayer.replay(job, worker=how.worker, life_s=how.deadline_s)
    match replayed.outcome:
        case "gone":
            raise Problem("JOB_NOT_FOUND")
        case "parent":
            raise Problem("PARENT_NOT_WAITING")
        case "illegal":
            raise Problem("ILLEGAL_STATE", detail=f"The job is {replayed.state} and cannot be replayed.")
        case "replayed" | "already":
            _log.info("dead.replayed", job=job, outcome=replayed.outcome, by=principal_of(request).name)
    return _json(replayed)


async def replay_page(request: web.Request) -> web.Response:
    """A page of dead letters again, at most `rate` a second; the client asks for the next page with `next`."""
    context = context_of(request)
    read_query(request, NoQuery)
    asked = await read_body(request, ReplayPageRequest)
    try:
        page = await context.replayer.replay_page(
            asked.filter.to_kernel(),
            before=asked.cursor,
            limit=asked.limit,
            rate=asked.rate,
            worker=asked.worker,
            life_s=asked.deadline_s,
        )
    except ValueError:
        raise Problem("INVALID_CURSOR") from None
    by = principal_of(request).name
    _log.info("dead.replayed", jobs=[replayed.job for replayed in page.replays if _is_new(replayed)], by=by)
    return _json(ReplaysPage(tuple(page.replays), page.next))


async def purge(request: web.Request) -> web.Response:
    """Gives up dead letters: named ones, or a page of a filter. The reaper deletes their files and forgets them."""
    context = context_of(request)
    read_query(request, NoQuery)
    asked = await read_body(request, PurgeRequest, one_of=("filter", "jobs"))
    following = None
    if isinstance(asked.filter, DeadLetterFilter):
        try:
            page = await context.replayer.purge_page(asked.filter.to_kernel(), before=asked.cursor, limit=asked.limit)
        except ValueError:
            raise Problem("INVALID_CURSOR") from None
        purged, following = page.jobs, page.next
    else:
        purged = await context.replayer.purge(list(asked.jobs or ()))
    _log.info("dead.purged", jobs=purged, by=principal_of(request).name)
    return _json(PurgedPage(tuple(purged), following))


async def quarantine(request: web.Request) -> web.Response:
    """Jobs that could not be read, newest first, page by page."""
    context = context_of(request)
    query = read_query(request, QuarantineQuery)
    try:
        rows, following = await persist(
            lambda: list_quarantined(context.redis, context.partitions, before=query.cursor, limit=query.limit),
            patience_s=PATIENCE_S,
        )
    except ValueError:
        raise Problem("INVALID_CURSOR") from None
    return _json(QuarantinePage(tuple(map(quarantined_document, rows)), following))


def _is_new(replayed: Replay) -> bool:
    return replayed.outcome == "replayed"


def _json(document: object) -> web.Response:
    return json_response(msgspec.json.encode(document))
