"""`/v1/jobs`: submit, list, show, cancel, retry, delete."""

from collections.abc import Awaitable, Callable

import msgspec
import structlog
from aiohttp import web

from actors.kernel import (
    JobView,
    State,
    Submission,
    Submitted,
    legal,
    list_children,
    list_jobs,
    persist,
)
from actors.media.task import BATCH, BatchSpec, encode
from actors.storage.keys import upload_folder
from gateway.disk import check_disk
from gateway.http.context import Context, context_of, principal_of
from gateway.http.problems import Problem
from gateway.http.queries import NoQuery, read_query
from gateway.http.requests import IF_NONE_MATCH, check_json_type, idempotency_key, send_continue, wait_s, whole
from gateway.http.responses import json_response
from gateway.jobs.idempotency import find_earlier
from gateway.jobs.listing import next_link, wanted_of
from gateway.jobs.rendering import JobsPage, entity_tag, job_document, job_json, revisions_in
from gateway.jobs.request import JobsQuery
from gateway.jobs.submission import Spec, Terms, check_uploads, digest_of, read_request, uploads_of
from gateway.jobs.waiting import wait_for_job
from gateway.principal import Principal
from gateway.streams.reader import PATIENCE_S
from gateway.times import now_ms

FIRST_STAGE, MEDIA = "ingest", "media"
_REFUSALS = {"conflict": "IDEMPOTENCY_KEY_REUSED", "busy": "TENANT_BACKLOG", "crowded": "SERVER_BACKLOG"}

_log = structlog.get_logger(__name__)


async def submit(request: web.Request) -> web.Response:
    """Accepts a job: 202 with the job. The same request under the same Idempotency-Key gets its first job."""
    context, principal = context_of(request), principal_of(request)
    read_query(request, NoQuery)
    key = idempotency_key(request.headers)
    check_json_type(request.headers)
    await send_continue(request)
    spec, terms = read_request(await request.read(), context.egress, now_ms())
    digest = digest_of(spec, terms)
    try:
        check_disk(context.storage, context.settings.storage.min_free_bytes)
        await check_uploads(spec, context.storage, principal.tenant)
        submitted = await _submit(context, principal, spec, terms, key)
    except Problem as problem:
        earlier = await _earlier(context, principal, digest, key)
        if earlier is None:
            raise problem from None
        submitted = Submitted("exists", earlier, "")
    if submitted.outcome in _REFUSALS:
        raise Problem(_REFUSALS[submitted.outcome])
    view = (await context.reader.read(submitted.job)).view
    if view is None or view.deleted:
        raise Problem("JOB_GONE")
    return _job_response(context, view, status=202, headers={"Location": f"/v1/jobs/{view.job}"})


async def _submit(context: Context, principal: Principal, spec: Spec, terms: Terms, key: str | None) -> Submitted:
    return await context.submitter.submit(
        Submission(
            tenant=principal.tenant,
            stage=FIRST_STAGE,
            kind=BATCH if isinstance(spec, BatchSpec) else MEDIA,
            children=len(spec.sources) if isinstance(spec, BatchSpec) else 0,
            spec=encode(spec),
            input=b"{}",
            refs=tuple({upload_folder(upload): None for _, upload in uploads_of(spec)}),
            priority=terms.priority,
            deadline_s=terms.deadline_s,
            start_at_ms=terms.starts_at_ms(now_ms()),
            idempotency_key=key,
            digest=digest_of(spec, terms),
        )
    )


async def _earlier(context: Context, principal: Principal, digest: str, key: str | None) -> str | None:
    if key is None:
        return None
    return await find_earlier(context.redis, context.partitions, principal.tenant, key, digest)


async def listing(request: web.Request) -> web.Response:
    """The tenant's jobs, newest first, or the jobs of a batch in their order; page by page."""
    context, principal = context_of(request), principal_of(request)
    query = read_query(request, JobsQuery)
    read_page = await _lister(context, principal, query)
    try:
        views, following = await persist(read_page, patience_s=PATIENCE_S)
    except ValueError:
        raise Problem("INVALID_CURSOR") from None
    documents = tuple(job_document(view, context.kernel.retention_s) for view in views)
    body = msgspec.json.encode(JobsPage(documents, following))
    return json_response(body, headers=next_link(request.query, following))


async def _lister(
    context: Context, principal: Principal, query: JobsQuery
) -> Callable[[], Awaitable[tuple[list[JobView], str | None]]]:
    client, partitions, wanted = context.redis, context.partitions, wanted_of(query)
    if query.parent is None:
        return lambda: list_jobs(
            client, partitions, principal.tenant, before=query.cursor, limit=query.limit, wanted=wanted
        )
    parent = await _find(context, principal, query.parent)
    return lambda: list_children(client, partitions, parent, after=query.cursor, limit=query.limit, wanted=wanted)


async def _find(context: Context, principal: Principal, job: str) -> JobView:
    return owned((await context.reader.read(job)).view, principal)


async def show(request: web.Request) -> web.Response:
    """One job. `Prefer: wait=N` waits for its end or, with If-None-Match, for its next durable event."""
    context, principal = context_of(request), principal_of(request)
    read_query(request, NoQuery)
    job = request.match_info["job"]
    known = whole(request.headers, IF_NONE_MATCH.name)
    allowed_s = wait_s(request.headers)
    if allowed_s is None:
        view = (await context.reader.read(job)).view
    else:
        is_news = _news_after(known)
        view = await wait_for_job(
            context, job, lambda view: view.tenant != principal.tenant or is_news(view), allowed_s
        )
    headers = {} if allowed_s is None else {"Preference-Applied": f"wait={allowed_s:.0f}"}
    return _job_response(context, owned(view, principal), known=known, headers=headers)


def _news_after(known: str | None) -> Callable[[JobView], bool]:
    seen = set() if known is None else revisions_in(known)
    if not seen:
        return lambda view: view.terminal
    return lambda view: view.rev not in seen or view.terminal


async def cancel(request: web.Request) -> web.Response:
    """Cancels a job: 200 when it has ended, 202 while its worker is being stopped. After both it never completes."""
    context, principal = context_of(request), principal_of(request)
    read_query(request, NoQuery)
    view = await _find(context, principal, request.match_info["job"])
    if view.terminal:
        return _cancelled(context, view)
    await context.submitter.cancel(view.job, principal.name)
    return _cancelled(context, await _find(context, principal, view.job))


def _cancelled(context: Context, view: JobView) -> web.Response:
    if view.state == State.CANCELLED:
        return _job_response(context, view)
    if not legal("cancel", view.state):
        raise Problem(
            "ILLEGAL_STATE",
            detail=f"The job is {view.state} and cannot be cancelled.",
            suggestion="Nothing to do: the job has ended.",
        )
    return _job_response(context, view, status=202)


async def retry(request: web.Request) -> web.Response:
    """Begins a job again that ended without success: 202. A job that is on its way is answered the same."""
    context, principal = context_of(request), principal_of(request)
    read_query(request, NoQuery)
    view = await _find(context, principal, request.match_info["job"])
    if view.cancel_requested_at_ms is not None and not view.terminal:
        raise Problem(
            "ILLEGAL_STATE", detail="The job is being cancelled.", suggestion="Retry it when its `state` is cancelled."
        )
    if view.terminal:
        check_disk(context.storage, context.settings.storage.min_free_bytes)
        replayed = await context.replayer.replay(view.job)
        match replayed.outcome:
            case "gone":
                raise Problem("JOB_NOT_FOUND")
            case "parent":
                raise _parent_problem(view.parent, replayed.state)
            case "illegal":
                raise Problem(
                    "ILLEGAL_STATE",
                    detail=f"The job is {replayed.state}.",
                    suggestion="Use its outputs, or submit its source again.",
                )
            case "replayed" | "already":
                _log.info("job.retried", job=view.job, outcome=replayed.outcome, by=principal.name)
        view = await _find(context, principal, view.job)
    return _job_response(context, view, status=202)


def _parent_problem(parent: str, state: str) -> Problem:
    """Why a job that is part of another one cannot begin again; `state`: of the other one, or `gone`."""
    if state in (State.COMPLETED, "gone"):
        return Problem("PARENT_NOT_WAITING", suggestion="Submit its source as a new job.")
    if legal("replay", State(state)):
        return Problem("PARENT_NOT_WAITING", suggestion=f"Retry the job that it is part of, {parent}.")
    return Problem(
        "PARENT_NOT_WAITING",
        detail="The job is part of another one that does not wait for it at the moment.",
        suggestion=f"Try again when {parent} is waiting or has ended.",
    )


async def delete(request: web.Request) -> web.Response:
    """Deletes a job that has ended, with its outputs: 204, also when there is no such job any more."""
    context, principal = context_of(request), principal_of(request)
    read_query(request, NoQuery)
    job = request.match_info["job"]
    view = (await context.reader.read(job)).view
    if view is not None and view.tenant == principal.tenant and (view.listed or view.deleted):
        deleted = await context.submitter.delete(job)
        if deleted.outcome == "unfinished":
            raise Problem(
                "ILLEGAL_STATE",
                detail=f"The job is {deleted.state} and cannot be deleted.",
                suggestion="Cancel it first, and delete it when it has ended.",
            )
        _log.info("job.deleted", job=job, by=principal.name)
    return web.Response(status=204)


def owned(view: JobView | None, principal: Principal) -> JobView:
    """The job if it is the principal's; another tenant's job looks like none. Raises Problem JOB_NOT_FOUND."""
    if view is None or view.tenant != principal.tenant or not view.listed:
        raise Problem("JOB_NOT_FOUND")
    return view


def _job_response(
    context: Context,
    view: JobView,
    *,
    status: int = 200,
    known: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    body = job_json(view, context.kernel.retention_s)
    tag = entity_tag(view.rev, body)
    headers = {"ETag": tag, **(headers or {})}
    if known is not None and _has(known, tag):
        return web.Response(status=304, headers={"Cache-Control": "private, no-cache", **headers})
    return json_response(body, status=status, headers=headers)


def _has(known: str, tag: str) -> bool:
    """Whether an If-None-Match names `tag` (or anything, `*`); the weak comparison."""
    return known.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in known.split(","))
