"""A web server on loopback that misbehaves in the ways that real ones do."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
PIECE_BYTES = 16 * 1024


@dataclass
class FaultServer:
    """Routes are added by tests. `asked` keeps every request as (method, path, Range, If-Range)."""

    port: int = 0
    routes: dict[str, Handle] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None, str | None]] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def ranges(self) -> list[str | None]:
        """The Range headers of all requests, in order."""
        return [entry[2] for entry in self.asked]

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = request.headers
        self.asked.append((request.method, request.path, headers.get("Range"), headers.get("If-Range")))
        route = self.routes.get(request.path)
        if route is None:
            return web.Response(status=404, text="not here")
        return await route(request)


@dataclass
class File:
    """Serves bytes with faults. `cuts` are positions at which one connection each ends early."""

    data: bytes
    content_type: str = "video/mp4"
    ranges: bool = True
    etag: bool = True
    length: bool = True
    promised: int = 0
    cuts: list[int] = field(default_factory=list)
    pause_s: float = 0.0
    disposition: str | None = None
    other_start: bool = False
    most_in_range: int | None = None
    ignore_condition: bool = False

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        tag = f'"{hashlib.sha256(self.data).hexdigest()[:16]}"'
        start, status = 0, 200
        asked = request.headers.get("Range")
        condition = tag if self.ignore_condition else request.headers.get("If-Range", tag)
        if asked and self.ranges and condition == tag:
            start, status = int(asked.removeprefix("bytes=").partition("-")[0]), 206
        if status == 206 and self.other_start:
            start += 7
        end_of_range = len(self.data) if status == 200 or not self.most_in_range else start + self.most_in_range
        body = self.data[start:end_of_range]
        headers = {"Content-Type": self.content_type}
        if self.etag:
            headers["ETag"] = tag
        if self.ranges:
            headers["Accept-Ranges"] = "bytes"
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(self.data)}"
        if self.length:
            headers["Content-Length"] = str(self.promised or len(body))
        if self.disposition:
            headers["Content-Disposition"] = self.disposition
        response = web.StreamResponse(status=status, headers=headers)
        if not self.length:
            response.enable_chunked_encoding()
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        end = next((cut - start for cut in self.cuts if cut > start), None)
        if end is not None:
            self.cuts.remove(end + start)
            await self._send(response, body[:end])
            return _cut(request, response)
        await self._send(response, body)
        if self.promised:
            return _cut(request, response)
        await response.write_eof()
        return response

    async def _send(self, response: web.StreamResponse, body: bytes) -> None:
        for start in range(0, len(body), PIECE_BYTES):
            await response.write(body[start : start + PIECE_BYTES])
            if self.pause_s:
                await asyncio.sleep(self.pause_s)


def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """End the connection in the middle of the body. What was written before is still sent."""
    if request.transport is not None:
        request.transport.close()
    return response


def page(html: str, content_type: str = "text/html") -> Handle:
    """A web page."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(text=html, content_type=content_type)

    return handle


def status(code: int, headers: dict[str, str] | None = None) -> Handle:
    """An answer without a body."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers)

    return handle


def redirect(target: str, code: int = 302) -> Handle:
    """A redirect to anywhere."""
    return status(code, {"Location": target})
