"""The limit that the server sets: the same frames to the same clients, without Redis and without anything between.

`python -m bench.streams.raw PORT`. `GET /jobs/{job}/events` holds a connection open, `POST /write?way=WAY&rounds=N`
writes N frames to each of them, and `GET /constant` and `POST /constant` answer a job's document that never changes.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable

import msgspec
import uvloop
from aiohttp import web

EVENT = (
    'id: 18f2c9a0b7d.1764381234567-12\nevent: job.stage\ndata: {{"id":"18f2c9a0b7d.1764381234567-12",'
    '"type":"job.stage","job":"j00-01kb6vmqj1x0nbzv7y8k0e5d3w","rev":12,"at":"2025-11-29T02:27:41.472Z",'
    '"data":{{"done":"fetch","next":"transcode","sent_us":{sent_us}}}}}\n\n'
)
"""As long as the gateway's."""
PAUSE_S = 0.001
_open: dict[web.StreamResponse, asyncio.Transport] = {}


async def follow(request: web.Request) -> web.StreamResponse:
    """Stays until the client leaves."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    await response.write(b"event: open\ndata:\n\n")
    if request.transport is None:
        return response
    _open[response] = request.transport
    try:
        await asyncio.Event().wait()
    finally:
        del _open[response]
    return response


async def through_response(frame: bytes) -> None:
    """As aiohttp means it."""
    for response in _open:
        await response.write(frame)


async def through_transport(frame: bytes) -> None:
    """Past it: one chunk of HTTP/1.1, made once for all."""
    chunk = b"%x\r\n%b\r\n" % (len(frame), frame)
    for transport in _open.values():
        transport.write(chunk)


WAYS: dict[str, Callable[[bytes], Awaitable[None]]] = {"response": through_response, "transport": through_transport}


async def write(request: web.Request) -> web.Response:
    """Writes as fast as the clients take it."""
    way = WAYS[request.query["way"]]
    last = next(reversed(_open.values()))
    for _ in range(int(request.query["rounds"])):
        await way(EVENT.format(sent_us=time.time_ns() // 1000).encode())
        await asyncio.sleep(0)
        while last.get_write_buffer_size():  # noqa: ASYNC110 - no event says that a socket has been emptied
            await asyncio.sleep(PAUSE_S)
    return web.Response()


async def constant(request: web.Request) -> web.Response:
    """A document, once the request has been read."""
    await request.read()
    return web.Response(body=DOCUMENT, content_type="application/json")


DOCUMENT = msgspec.json.encode({"id": "j00-01kb6vmqj1x0nbzv7y8k0e5d3w", "state": "queued", "padding": "x" * 600})


def main(port: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    application = web.Application()
    application.router.add_get("/jobs/{job}/events", follow)
    application.router.add_post("/write", write)
    application.router.add_get("/constant", constant)
    application.router.add_post("/constant", constant)
    web.run_app(
        application, host="127.0.0.1", port=port, loop=uvloop.new_event_loop(), access_log=None, backlog=4096,
        handler_cancellation=True, print=lambda _: print('{"ready":["raw"]}', flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
