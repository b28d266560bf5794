"""What one would write by hand: one aiohttp handler, one connection to Redis and one blocking XREAD for each client.

`python -m bench.streams.plain REDIS PORT`. Nobody is asked for a key; nothing is bounded, resumed or shared.
"""

import resource
import sys
from typing import Any

import redis.asyncio
import uvloop
from aiohttp import web

BLOCK_MS = 15_000
MOST = 100
"""Of one read."""


async def follow(request: web.Request) -> web.StreamResponse:
    """The events of one job as they are written."""
    job = request.match_info["job"]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    await response.write(b"event: open\ndata:\n\n")
    stream, last = f"plain:{job}", "0-0"
    async with redis.asyncio.Redis.from_url(request.app[REDIS], socket_timeout=None, max_connections=1) as client:
        while True:
            replies: Any = await client.xread({stream: last}, count=MOST, block=BLOCK_MS)
            for _, entries in replies or ():
                for entry, fields in entries:
                    last = entry.decode()
                    text = fields[b"event"].decode()
                    await response.write(f"id: {last}\nevent: job.stage\ndata: {text}\n\n".encode())


REDIS: web.AppKey[str] = web.AppKey("redis", str)


def build(url: str) -> web.Application:
    application = web.Application()
    application[REDIS] = url
    application.router.add_get("/jobs/{job}/events", follow)
    return application


def main(url: str, port: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    web.run_app(
        build(url), host="127.0.0.1", port=port, loop=uvloop.new_event_loop(), access_log=None, backlog=4096,
        handler_cancellation=True, print=lambda _: print('{"ready":["plain"]}', flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
