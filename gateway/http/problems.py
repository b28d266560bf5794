"""Problem documents (RFC 9457): every answer that is not a success has this form.

A code is stable and means one thing. The codes of a job's own failures live in actors/media/errors.toml; where a
request is refused for one of those reasons, it carries that code. The codes below are about the request itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a code means: the HTTP status and the texts that are used when a problem brings no own ones."""

    status: int
    title: str
    detail: str
    suggestion: str


KINDS: dict[str, Kind] = {
    "BAD_REQUEST": Kind(400, "Bad request", "The request cannot be understood.", "Check the request."),
    "INVALID_JSON": Kind(400, "Not JSON", "The body is not a JSON object.", "Send one JSON object in UTF-8."),
    "INVALID_MESSAGE": Kind(400, "Not understood", "The message cannot be understood.", "Correct the message."),
    "SUBSCRIPTION_EXISTS": Kind(
        409, "Name taken", "A subscription of this connection has this id.", "Use another id, or `unsub` it first."
    ),
    "TOO_MANY_SUBSCRIPTIONS": Kind(
        429,
        "Too many subscriptions",
        "A connection has at most 128 subscriptions.",
        "Subscribe to `jobs` instead, or use another connection.",
    ),
    "INVALID_PARAMETER": Kind(
        400, "Invalid parameter", "A parameter of the address is not valid.", "Correct or leave out the parameter."
    ),
    "INVALID_CURSOR": Kind(
        400,
        "Invalid cursor",
        "The cursor was not made by this server.",
        "Use the value of `next`, or begin without a cursor.",
    ),
    "INVALID_IDEMPOTENCY_KEY": Kind(
        400,
        "Invalid Idempotency-Key",
        "The Idempotency-Key cannot be used.",
        "Send 1 to 255 printable ASCII characters.",
    ),
    "UPLOAD_INCOMPLETE": Kind(
        400, "Upload incomplete", "The body ended before the file was complete.", "Send the file again."
    ),
    "UNAUTHORIZED": Kind(
        401, "Key needed", "The request carries no valid API key.", "Send the header `Authorization: Bearer <key>`."
    ),
    "ROUTE_NOT_FOUND": Kind(
        404, "Not found", "There is nothing at this address.", "Check the path; the API lies under /v1."
    ),
    "JOB_NOT_FOUND": Kind(404, "No such job", "There is no job with this id.", "Check the id; old jobs are deleted."),
    "DEAD_LETTER_NOT_FOUND": Kind(
        404, "Not a dead letter", "The job is not among the dead letters.", "Look at the job's `state`."
    ),
    "STAGE_NOT_FOUND": Kind(404, "No such stage", "There is no stage with this name.", "List the stages."),
    "OUTPUT_NOT_FOUND": Kind(
        404,
        "No such output",
        "The job has no output with this name.",
        "List the job's outputs and use one of their names.",
    ),
    "UPLOAD_NOT_FOUND": Kind(
        404, "No such upload", "The upload does not exist or has expired.", "Upload the file again and use the new id."
    ),
    "ORIGIN_REFUSED": Kind(
        403,
        "Page not allowed",
        "A page of this origin may not open a WebSocket here.",
        "Serve the page from the same address, or ask the operator to add its origin to gateway.origins.",
    ),
    "METHOD_NOT_ALLOWED": Kind(
        405, "Method not allowed", "This address does not take this method.", "Use one of the methods in `Allow`."
    ),
    "REQUEST_TIMEOUT": Kind(408, "Too slow", "The body stopped arriving.", "Check the connection and send it again."),
    "ILLEGAL_STATE": Kind(
        409, "Not possible in this state", "The job's state does not allow this.", "Look at the job's `state`."
    ),
    "PARENT_NOT_WAITING": Kind(
        409,
        "Part of another job",
        "The job is part of another one that does not wait for it any more.",
        "Replay the job that it is part of.",
    ),
    "JOB_GONE": Kind(
        410,
        "Job deleted",
        "The job that this key made has been deleted.",
        "Use a new Idempotency-Key to make a new job.",
    ),
    "EVENTS_GONE": Kind(
        410, "Events gone", "The event that `after` names is no longer kept.", "Begin without `after`."
    ),
    "PRECONDITION_FAILED": Kind(
        412,
        "Precondition failed",
        "The file is not the version that was asked for.",
        "Read it again without conditions.",
    ),
    "BODY_TOO_LARGE": Kind(
        413, "Body too large", "The body is larger than this address takes.", "Send a smaller body."
    ),
    "UPLOAD_TOO_LARGE": Kind(
        413,
        "Upload too large",
        "The file is larger than this server accepts.",
        "Use a smaller file, or ask the operator to raise gateway.upload_max_bytes.",
    ),
    "UNSUPPORTED_ENCODING": Kind(
        415, "Compressed body", "The body is compressed.", "Send the body as it is, without Content-Encoding."
    ),
    "UNSUPPORTED_TYPE": Kind(
        415,
        "Not JSON",
        "The body is of a type that this address does not take.",
        "Send JSON, with the header `Content-Type: application/json`.",
    ),
    "RANGE_NOT_SATISFIABLE": Kind(
        416, "Range outside the file", "The range lies outside the file.", "Use the size in `Content-Range`."
    ),
    "NOT_SERVED_HERE": Kind(
        421,
        "Served elsewhere",
        "This process of the gateway does not serve this address.",
        "Send it through the proxy in front, which knows who does.",
    ),
    "INVALID_REQUEST": Kind(
        422, "Invalid request", "The request has an error.", "Correct the fields named in `errors`."
    ),
    "IDEMPOTENCY_KEY_REUSED": Kind(
        422,
        "Idempotency-Key used before",
        "This Idempotency-Key was sent with another request.",
        "Use a new key for a new request.",
    ),
    "UPLOAD_EMPTY": Kind(422, "Empty file", "The file has no bytes.", "Check the file and send it again."),
    "UPGRADE_NEEDED": Kind(426, "WebSocket only", "This address speaks WebSocket.", "Connect with a WebSocket client."),
    "TOO_MANY_STRANGERS": Kind(
        429,
        "Too many unknown connections",
        "Too many connections of your address have not said yet who they are.",
        "Send the key as a header, or as the first message at once.",
    ),
    "TENANT_BACKLOG": Kind(
        429,
        "Too much is waiting",
        "Too many of your jobs are waiting already.",
        "Try again when some of them have ended.",
    ),
    "RATE_LIMITED": Kind(
        429,
        "Too many requests",
        "More requests were sent than the quota allows.",
        "Wait as long as `Retry-After` says; `RateLimit` tells what is left of the quota.",
    ),
    "INTERNAL": Kind(
        500,
        "Unexpected error",
        "An unexpected error happened on the server.",
        "Try again; the operator finds the details in the log under the request_id.",
    ),
    "OUTPUT_DAMAGED": Kind(
        500, "Damaged output", "The file in the storage is not the one that was published.", "Send the job again."
    ),
    "REQUEST_FAILED": Kind(500, "Request failed", "The request could not be served.", "Try again."),
    "STORE_FULL": Kind(
        503,
        "No room for new jobs",
        "The server has no memory left for new jobs.",
        "Try again when running jobs have ended.",
    ),
    "SERVER_BACKLOG": Kind(
        503,
        "Too much is waiting",
        "Too many jobs are waiting on this server.",
        "Try again when some of them have ended.",
    ),
    "STORE_UNAVAILABLE": Kind(
        503, "Not available", "The server cannot reach its store at the moment.", "Try again in a few seconds."
    ),
    "DISK_FULL": Kind(
        507, "Disk full", "The server has too little disk space left.", "Try again later, or tell the operator."
    ),
}
OF_EVERY_REQUEST = ("BAD_REQUEST", "INTERNAL")
"""What any request can end with, whatever it asks for; UNAUTHORIZED besides where a key is needed."""
OF_A_JSON_BODY = ("INVALID_JSON", "REQUEST_TIMEOUT", "BODY_TOO_LARGE", "UNSUPPORTED_ENCODING", "INVALID_REQUEST")
_RETRY_AFTER_S = {
    "TENANT_BACKLOG": 15,
    "SERVER_BACKLOG": 15,
    "STORE_FULL": 15,
    "STORE_UNAVAILABLE": 2,
    "DISK_FULL": 60,
    "TOO_MANY_STRANGERS": 5,
}


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One wrong field."""

    detail: str
    pointer: Annotated[str | None, Meta(description="Its JSON pointer (RFC 6901) in the body.")] = None
    parameter: Annotated[str | None, Meta(description="Its name in the query.")] = None
    code: Annotated[str | None, Meta(description="Where the error has a code of its own.")] = None
    suggestion: str | None = None


class ProblemDocument(msgspec.Struct, frozen=True):
    """Every answer that is not a success (RFC 9457)."""

    type: Annotated[str, Meta(description="Names the code; it is no address.", extra_json_schema={"format": "uri"})]
    title: str
    status: int
    detail: Annotated[str, Meta(description="What happened, and why.")]
    code: Annotated[str, Meta(description="Stable: what programs decide by.")]
    suggestion: Annotated[str, Meta(description="What to do.")]
    request_id: Annotated[str, Meta(description="Names the request in the server's log.")]
    errors: Annotated[tuple[FieldError, ...], Meta(description="Every wrong field of the request.")] = ()


class Problem(Exception):
    """A request ends with this problem. Raised anywhere in a handler; rendered in one place."""

    def __init__(
        self,
        code: str,
        *,
        status: int | None = None,
        title: str | None = None,
        detail: str | None = None,
        suggestion: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        kind = KINDS.get(code, KINDS["INVALID_REQUEST"])
        self.code = code
        self.status = status or kind.status
        self.title = title or kind.title
        self.detail = detail or kind.detail
        self.suggestion = suggestion or kind.suggestion
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        if code in _RETRY_AFTER_S:
            self.headers.setdefault("Retry-After", str(_RETRY_AFTER_S[code]))


def field_problem(code: str, error: FieldError, *, status: int | None = None) -> Problem:
    """The problem of a request with one wrong field."""
    return Problem(code, status=status, detail=error.detail, suggestion=error.suggestion, errors=(error,))


def type_of(code: str) -> str:
    """The problem's type URI. It names the code and is not an address."""
    return f"urn:reelway:problem:{code.lower().replace('_', '-')}"


def document_of(problem: Problem, request_id: str) -> ProblemDocument:
    """The body of a problem."""
    return ProblemDocument(
        type=type_of(problem.code),
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        suggestion=problem.suggestion,
        request_id=request_id,
        errors=problem.errors,
    )


def render(problem: Problem, request_id: str) -> web.Response:
    """The HTTP answer of a problem."""
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(document_of(problem, request_id)),
        content_type=MEDIA_TYPE,
        headers={**problem.headers, "Cache-Control": "no-store"},
    )


def of_http_error(error: web.HTTPException) -> Problem:
    """The problem for an error that aiohttp itself raises, such as 404, 405 and 413."""
    match error.status:
        case 404:
            return Problem("ROUTE_NOT_FOUND")
        case 405:
            return Problem("METHOD_NOT_ALLOWED", headers={"Allow": error.headers.get("Allow", "")})
        case 413:
            return Problem("BODY_TOO_LARGE")
        case status if status < 500:
            return Problem("BAD_REQUEST", status=status)
    return Problem("REQUEST_FAILED", status=error.status)
