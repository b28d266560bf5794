"""`/v1/admin/dead`: list, count, show, export, replay and purge dead letters; `/v1/admin/quarantine`."""

import re
from typing import Any

import msgspec
import structlog
from aiohttp import web

from actors.kernel import persist
from actors.kernel.dead_letter import DeadFilter
from actors.kernel.quarantine import list_quarantined
from actors.kernel.replay import MOST_OF_A_PAGE, Replay
from gateway.admin.documents import count_document, dead_document, detail_document, quarantined_document
from gateway.admin.filters import NAMES, filter_of_body, filter_of_query
from gateway.http.bodies import Field, read_fields, read_object, refused
from gateway.http.context import context_of, principal_of
from gateway.http.problems import FieldError, Problem
from gateway.http.requests import limit_of, parameters, send_continue
from gateway.http.responses import json_response
from gateway.jobs.submission import LIFE
from gateway.streams.reader import PATIENCE_S

PAGE, LONGEST_PAGE = 50, 200
MOST_A_SECOND = 1000
MOST_JOBS = 100
_WORKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_log = structlog.get_logger(__name__)


def _worker(value: str) -> str:
    if not _WORKER.fullmatch(value):
        raise ValueError(value)
    return value


def _rate(value: float) -> float:
    if not 0.1 <= value <= MOST_A_SECOND:
        raise ValueError(value)
    return value


def _limit(value: int) -> int:
    if not 1 <= value <= MOST_OF_A_PAGE:
        raise ValueError(value)
    return value


def _jobs(value: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(value) <= MOST_JOBS:
        raise ValueError(value)
    return value


_HOW = {
    "worker": Field(str | None, "the name of a quarantine worker (letters, digits, dots, dashes)", _worker),
    "deadline_s": LIFE,
}
_WHICH = {
    "filter": Field(dict[str, Any], 'an object such as {"stage": "fetch"}; {} means all'),
    "cursor": Field(str | None, "the `next` of the page before"),
    "limit": Field(int, f"a number from 1 to {MOST_OF_A_PAGE}", _limit),
}
_REPLAY = _WHICH | _HOW | {"rate": Field(float | None, f"a number of jobs a second, 0.1 to {MOST_A_SECOND}", _rate)}
_PURGE = _WHICH | {"jobs": Field(tuple[str, ...], f"a list of 1 to {MOST_JOBS} job ids", _jobs)}


async def listing(request: web.Request) -> web.Response:
    """Dead letters of all tenants, newest first, page by page."""
    context = context_of(request)
    query = parameters(request, *NAMES, "limit", "cursor")
    wanted, before = filter_of_query(query), query.get("cursor")
    limit = limit_of(query, default=PAGE, most=LONGEST_PAGE)
    try:
        letters, following = await persist(
            lambda: context.dead.page(wanted, before=before, limit=limit), patience_s=PATIENCE_S
        )
    except ValueError:
        raise Problem("INVALID_CURSOR") from None
    return _json({"dead": [dead_document(letter) for letter in letters], "next": following})


async def count(request: web.Request) -> web.Response:
    """How many there are, by stage, why and code; of very many, the newest are looked at."""
    context = context_of(request)
    wanted = filter_of_query(parameters(request, *NAMES))
    counted = await persist(lambda: context.dead.count(wanted), patience_s=PATIENCE_S)
    return _json(count_document(counted))


async def show(request: web.Request) -> web.Response:
    """One dead letter with all that is left of its job."""
    context = context_of(request)
    parameters(request)
    job = request.match_info["job"]
    detail = await persist(lambda: context.dead.show(job), patience_s=PATIENCE_S)
    if detail is None:
        raise Problem("DEAD_LETTER_NOT_FOUND")
    return _json(detail_document(detail))


async def export(request: web.Request) -> web.StreamResponse:
    """Every dead letter in full, one JSON object a line, newest first."""
    context = context_of(request)
    details = context.dead.export(filter_of_query(parameters(request, *NAMES)))
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
    parameters(request)
    _, how = await _body(request, _HOW)
    job = request.match_info["job"]
    replayed = await context.replayer.replay(job, worker=how.get("worker"), life_s=how.get("deadline_s"))
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
    parameters(request)
    wanted, values = await _body(request, _REPLAY, required=("filter",))
    try:
        page = await context.replayer.replay_page(
            wanted,
            before=values.get("cursor"),
            limit=values.get("limit", MOST_OF_A_PAGE),
            rate=values.get("rate"),
            worker=values.get("worker"),
            life_s=values.get("deadline_s"),
        )
    except ValueError:
        raise Problem("INVALID_CURSOR") from None
    by = principal_of(request).name
    _log.info("dead.replayed", jobs=[replayed.job for replayed in page.replays if _is_new(replayed)], by=by)
    return _json({"replays": page.replays, "next": page.next})


async def purge(request: web.Request) -> web.Response:
    """Gives up dead letters: named ones, or a page of a filter. The reaper deletes their files and forgets them."""
    context = context_of(request)
    parameters(request)
    wanted, values = await _body(request, _PURGE, one_of=("filter", "jobs"))
    following = None
    if "jobs" in values:
        purged = await context.replayer.purge(list(values["jobs"]))
    else:
        try:
            page = await context.replayer.purge_page(
                wanted, before=values.get("cursor"), limit=values.get("limit", MOST_OF_A_PAGE)
            )
        except ValueError:
            raise Problem("INVALID_CURSOR") from None
        purged, following = page.jobs, page.next
    _log.info("dead.purged", jobs=purged, by=principal_of(request).name)
    return _json({"purged": purged, "next": following})


async def quarantine(request: web.Request) -> web.Response:
    """Jobs that could not be read, newest first, page by page."""
    context = context_of(request)
    query = parameters(request, "limit", "cursor")
    limit, before = limit_of(query, default=PAGE, most=LONGEST_PAGE), query.get("cursor")
    try:
        rows, following = await persist(
            lambda: list_quarantined(context.redis, context.partitions, before=before, limit=limit),
            patience_s=PATIENCE_S,
        )
    except ValueError:
        raise Problem("INVALID_CURSOR") from None
    return _json({"quarantined": [quarantined_document(row) for row in rows], "next": following})


async def _body(
    request: web.Request,
    fields: dict[str, Field],
    *,
    required: tuple[str, ...] = (),
    one_of: tuple[str, str] | None = None,
) -> tuple[DeadFilter, dict[str, Any]]:
    """The filter and the other values of a body; where nothing is required, it may be empty."""
    await send_continue(request)
    body = await request.read()
    asked = {} if not body and not required and one_of is None else read_object(body)
    errors, values = read_fields(asked, fields, required=required)
    wanted = DeadFilter()
    if "filter" in values:
        wrong, wanted = filter_of_body(values["filter"], "/filter")
        errors += wrong
    if one_of is not None and sum(name in asked for name in one_of) != 1:
        either = " or ".join(f"`{name}`" for name in one_of)
        errors.append(FieldError(f"Send either {either}.", pointer=f"/{one_of[0]}"))
    if errors:
        raise refused(errors)
    return wanted, values


def _is_new(replayed: Replay) -> bool:
    return replayed.outcome == "replayed"


def _json(document: object) -> web.Response:
    return json_response(msgspec.json.encode(document))
