"""`/v1/uploads`: a file as the raw body of one request."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from actors.media.names import clean_text
from actors.storage.keys import upload_folder
from actors.storage.uploads import UploadMeta, read_upload
from gateway.http.context import context_of, principal_of
from gateway.http.fields import expected
from gateway.http.problems import Problem
from gateway.http.queries import NoQuery, read_query
from gateway.http.responses import json_response
from gateway.jobs.documents import Sha256
from gateway.principal import Principal
from gateway.times import Timestamp, timestamp
from gateway.uploads.receiving import receive_upload

MOST_NAME_CHARACTERS = 255


class UploadQuery(msgspec.Struct, frozen=True):
    """The query of an upload."""

    name: Annotated[
        Annotated[str, Meta(max_length=MOST_NAME_CHARACTERS)],
        Meta(description="What people call the file.", examples=["talk.mp4"]),
        expected(f"at most {MOST_NAME_CHARACTERS} characters"),
    ] = ""


class UploadDocument(msgspec.Struct, frozen=True):
    """An upload as clients see it."""

    id: Annotated[str, Meta(description="A job names it as `upload:<id>`.")]
    name: str
    size_bytes: int
    sha256: Sha256
    expires_at: Timestamp


async def receive(request: web.Request) -> web.Response:
    """Takes a file: 201 with its id, once it is durable. `name` is what people call it."""
    context, principal = context_of(request), principal_of(request)
    name = read_query(request, UploadQuery).name
    meta = await receive_upload(request, context, principal.tenant, clean_text(name) or "upload")
    headers = {"Location": f"/v1/uploads/{meta.id}"}
    return json_response(_document(meta), status=201, headers=headers)


async def show(request: web.Request) -> web.Response:
    """An upload that is whole."""
    read_query(request, NoQuery)
    meta = await _find(request, principal_of(request))
    return json_response(_document(meta))


async def delete(request: web.Request) -> web.Response:
    """Deletes an upload; a job that has not fetched it yet will fail."""
    context = context_of(request)
    read_query(request, NoQuery)
    meta = await _find(request, principal_of(request))
    await context.storage.delete(upload_folder(meta.id))
    return web.Response(status=204)


async def _find(request: web.Request, principal: Principal) -> UploadMeta:
    meta = await read_upload(context_of(request).storage, request.match_info["upload"])
    if meta is None or meta.tenant != principal.tenant or meta.expires_at <= datetime.now(UTC):
        raise Problem("UPLOAD_NOT_FOUND")
    return meta


def _document(meta: UploadMeta) -> bytes:
    expires_at = timestamp(round(meta.expires_at.timestamp() * 1000))
    return msgspec.json.encode(UploadDocument(meta.id, meta.name, meta.size_bytes, meta.sha256, expires_at))
