"""`/v1/jobs/{job}/outputs`: what a job made, and the files themselves."""

from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec
import structlog
from aiohttp import web

from actors.media.task import StoredOutput
from gateway.downloads.disposition import attachment
from gateway.downloads.outputs import Published, find_outputs
from gateway.downloads.ranges import (
    Full,
    NotModified,
    Partial,
    PreconditionFailed,
    Representation,
    Unsatisfiable,
    decide,
)
from gateway.http.context import Context, context_of, principal_of
from gateway.http.problems import Problem
from gateway.http.queries import NoQuery, read_query
from gateway.http.responses import json_response
from gateway.jobs.documents import OutputsDocument, output_document

_log = structlog.get_logger(__name__)


async def listing(request: web.Request) -> web.Response:
    """The outputs of a job; an empty list before it has completed."""
    context, principal = context_of(request), principal_of(request)
    read_query(request, NoQuery)
    job = request.match_info["job"]
    published = await find_outputs(context, principal, job)
    outputs = () if published is None else published.outputs
    documents = tuple(output_document(job, output) for output in outputs)
    return json_response(msgspec.json.encode(OutputsDocument(documents)))


async def download(request: web.Request) -> web.StreamResponse:
    """One file, or the part of it that was asked for."""
    context, principal = context_of(request), principal_of(request)
    read_query(request, NoQuery)
    published = await find_outputs(context, principal, request.match_info["job"])
    output = _named(published, request.match_info["name"])
    key = f"{published.folder}/{output.file}" if published is not None else ""
    representation = _representation(context, key, output)
    headers = _headers(output, representation)
    match decide(request.headers, representation):
        case PreconditionFailed():
            raise Problem("PRECONDITION_FAILED")
        case NotModified():
            return web.Response(status=304, headers=headers)
        case Unsatisfiable():
            raise Problem("RANGE_NOT_SATISFIABLE", headers={"Content-Range": f"bytes */{representation.size_bytes}"})
        case Partial(first, last):
            headers["Content-Range"] = f"bytes {first}-{last}/{representation.size_bytes}"
            return await _send(request, context, key, first, last - first + 1, 206, output, headers)
        case Full():
            return await _send(request, context, key, 0, representation.size_bytes, 200, output, headers)


def _named(published: Published | None, name: str) -> StoredOutput:
    if published is not None:
        for output in published.outputs:
            if output.name == name:
                return output
    raise Problem("OUTPUT_NOT_FOUND")


def _representation(context: Context, key: str, output: StoredOutput) -> Representation:
    try:
        status = context.storage.local_path(key).stat()
    except FileNotFoundError:
        raise Problem("OUTPUT_NOT_FOUND", detail="The output has expired.", suggestion="Send the job again.") from None
    if status.st_size != output.size_bytes:
        _log.error("output.damaged", file=key, size_bytes=status.st_size, expected_bytes=output.size_bytes)
        raise Problem("OUTPUT_DAMAGED")
    modified_at = datetime.fromtimestamp(int(status.st_mtime), UTC)
    return Representation(status.st_size, f'"{output.sha256}"', modified_at)


def _headers(output: StoredOutput, representation: Representation) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "ETag": representation.entity_tag,
        "Last-Modified": format_datetime(representation.modified_at, usegmt=True),
        "Content-Disposition": attachment(output.name),
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, no-cache",
    }


async def _send(
    request: web.Request,
    context: Context,
    key: str,
    start: int,
    length: int,
    status: int,
    output: StoredOutput,
    headers: dict[str, str],
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=headers)
    response.content_type = output.type
    response.content_length = length
    await response.prepare(request)
    if request.method == "HEAD" or length == 0:
        return response
    sent = 0
    async for piece in context.storage.open_read(key, start, length):
        await response.write(piece)
        sent += len(piece)
        context.metrics.download_bytes.inc(len(piece))
    if sent != length:
        raise OSError(f"{key} ended after {sent} of {length} bytes")
    await response.write_eof()
    return response
