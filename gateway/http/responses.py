"""Answers in JSON."""

from collections.abc import Mapping

from aiohttp import web

from gateway.openapi.operation import header

ETAG = header("ETag", "Names this state of it, for `If-None-Match`.", example='"4-9f86d081884c7d65"')
LOCATION = header(
    "Location", "Where it is found, relative to the server.", example="/v1/jobs/j00-01k9zq5w8r3v6t2yhx4n7m0pbc"
)


def json_response(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer whose body is encoded already. It is nobody's but the caller's, and not to be kept by caches."""
    return web.Response(
        status=status,
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "private, no-cache", **(headers or {})},
    )
