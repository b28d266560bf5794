"""`/v1/jobs`: submit, list, show, cancel."""

from collections.abc import Callable

import msgspec
from aiohttp import web

from actors.kernel import JobView, State, Submission, Submitted, legal, list_jobs, persist
from actors.media.task import JobSpec, encode, upload_id
from actors.storage.keys import upload_folder
from gateway.disk import check_disk
from gateway.http.context import Context, context_of, principal_of
from gateway.http.problems import Problem
from gateway.http.requests import bad_parameter, idempotency_key, limit_of, parameters, send_continue, wait_s
from gateway.http.responses import json_response
from gateway.jobs.idempotency import find_earlier
from gateway.jobs.rendering import entity_tag, job_document, job_json, revision_of
from gateway.jobs.submission import Terms, check_upload, digest_of, read_request
from gateway.jobs.waiting import wait_for_job
from gateway.principal import Principal
from gateway.streams.reader import PATIENCE_S
from gateway.times import now_ms

PAGE, LONGEST_PAGE = 50, 200
FIRST_STAGE = "ingest"
_REFUSALS = {"conflict": "IDEMPOTENCY_KEY_REUSED", "busy": "TENANT_BACKLOG", "crowded": "SERVER_BACKLOG"}


async def submit(request: web.Request) -> web.Response:
    """Accepts a job: 202 with the job. The same request under the same Idempotency-Key gets its first job."""
    context, principal = context_of(request), principal_of(request)
    parameters(request)
    key = idempotency_key(request.headers)
    await send_continue(request)
    spec, terms = read_request(await request.read(), context.egress, now_ms())
    digest = digest_of(spec, terms)
    try:
        check_disk(context.storage, context.settings.storage.min_free_bytes)
        await check_upload(spec, context.storage, principal.tenant)
        submitted = await _submit(context, principal, spec, terms, key)
    except Problem as problem:
        earlier = await _earlier(context, principal, digest, key)
        if earlier is None:
            raise problem from None
        submitted = Submitted("exists", earlier, "")
    if submitted.outcome in _REFUSALS:
        raise Problem(_REFUSALS[submitted.outcome])
    view = (await context.reader.read(submitted.job)).view
    if view is None:
        raise Problem("JOB_GONE")
    return _job_response(context, view, status=202, headers={"Location": f"/v1/jobs/{view.job}"})


async def _submit(context: Context, principal: Principal, spec: JobSpec, terms: Terms, key: str | None) -> Submitted:
    upload = upload_id(spec.source)
    return await context.submitter.submit(
        Submission(
            tenant=principal.tenant,
            stage=FIRST_STAGE,
            spec=encode(spec),
            input=b"{}",
            refs=(upload_folder(upload),) if upload is not None else (),
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
    """The tenant's jobs, newest first, page by page."""
    context, principal = context_of(request), principal_of(request)
    query = parameters(request, "state", "limit", "cursor")
    state = _state(query.get("state"))
    limit = limit_of(query, default=PAGE, most=LONGEST_PAGE)
    before = query.get("cursor")
    try:
        views, following = await persist(
            lambda: list_jobs(
                context.redis,
                context.partitions,
                principal.tenant,
                before=before,
                limit=limit,
                wanted=None if state is None else lambda view: view.state == state,
            ),
            patience_s=PATIENCE_S,
        )
    except ValueError:
        raise Problem("INVALID_CURSOR") from None
    documents = [job_document(view, context.kernel.retention_s) for view in views]
    return json_response(msgspec.json.encode({"jobs": documents, "next": following}))


def _state(text: str | None) -> State | None:
    if text is None:
        return None
    try:
        return State(text)
    except ValueError:
        raise bad_parameter("state", f"There is no state `{text[:40]}`.", f"Use one of {', '.join(State)}.") from None


async def show(request: web.Request) -> web.Response:
    """One job. `Prefer: wait=N` waits for its end or, with If-None-Match, for its next durable event."""
    context, principal = context_of(request), principal_of(request)
    parameters(request)
    job = request.match_info["job"]
    known = request.headers.get("If-None-Match")
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
    seen = None if known is None else revision_of(known)
    if seen is None:
        return lambda view: view.terminal
    return lambda view: view.rev != seen or view.terminal


async def cancel(request: web.Request) -> web.Response:
    """Cancels a job: 200 when it has ended, 202 while its worker is being stopped. After both it never completes."""
    context, principal = context_of(request), principal_of(request)
    parameters(request)
    view = owned((await context.reader.read(request.match_info["job"])).view, principal)
    if view.terminal:
        return _cancelled(context, view)
    await context.submitter.cancel(view.job, principal.name)
    return _cancelled(context, owned((await context.reader.read(view.job)).view, principal))


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
