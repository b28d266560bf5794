"""One row of the application's table of routes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from gateway.openapi.operation import Operation


@dataclass(frozen=True, slots=True)
class Route:
    """Where a handler is reached, and what `/openapi.json` says of it. A HEAD has the operation of its GET."""

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    operation: Operation
