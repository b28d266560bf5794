"""Answers in JSON."""

from collections.abc import Mapping

from aiohttp import web


def json_response(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer whose body is encoded already. It is nobody's but the caller's, and not to be kept by caches."""
    return web.Response(
        status=status,
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "private, no-cache", **(headers or {})},
    )
