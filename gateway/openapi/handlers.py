"""`/openapi.json` and `/docs`: the description of the interface, for programs and for people."""

from collections.abc import Sequence
from functools import cached_property

import msgspec
from aiohttp import web

from gateway.http.queries import NoQuery, read_query
from gateway.http.responses import json_response
from gateway.http.route import Route
from gateway.openapi.document import build_document
from gateway.openapi.page import POLICY, build_page


class Description:
    """The description of a table of routes, made when it is asked for first."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    @cached_property
    def json(self) -> bytes:
        """The OpenAPI document."""
        return msgspec.json.encode(build_document(self._routes))

    @cached_property
    def page(self) -> bytes:
        """The same as HTML."""
        return build_page(build_document(self._routes)).encode()


DESCRIPTION: web.AppKey[Description] = web.AppKey("description", Description)


async def document(request: web.Request) -> web.Response:
    """The OpenAPI document."""
    read_query(request, NoQuery)
    return json_response(request.app[DESCRIPTION].json, headers={"Cache-Control": "no-cache"})


async def page(request: web.Request) -> web.Response:
    """The page for people. It runs no script and loads nothing."""
    read_query(request, NoQuery)
    return web.Response(
        body=request.app[DESCRIPTION].page,
        content_type="text/html",
        charset="utf-8",
        headers={"Cache-Control": "no-cache", "Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"},
    )
