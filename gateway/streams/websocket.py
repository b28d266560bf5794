"""`/v1/ws`: one WebSocket from its upgrade to its close, with any number of subscriptions up to a bound."""

import asyncio
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from gateway.http.context import PRINCIPAL, Context, context_of
from gateway.http.problems import Problem
from gateway.principal import Principal
from gateway.streams.messages import MOST_MESSAGE_BYTES, Auth, Close, read_message
from gateway.streams.replies import Bye
from gateway.streams.ws_session import Session

PROTOCOL = "reelway.v1"
_PROTOCOLS = (PROTOCOL,)


async def websocket(request: web.Request) -> web.StreamResponse:
    """Follows what the client subscribes to. The key comes as a header, or as the first message."""
    context = context_of(request)
    socket = web.WebSocketResponse(
        # A pong of the protocol is heard by the session: it is the sign that the client lives.
        autoping=False,
        compress=False,  # its buffers would make a connection eight times as large
        max_msg_size=MOST_MESSAGE_BYTES,
        protocols=_PROTOCOLS,
        timeout=context.bounds.farewell_s,
    )
    if not socket.can_prepare(request):
        raise Problem("UPGRADE_NEEDED", headers={"Upgrade": "websocket"})
    _check_origin(request, context)
    principal = request.get(PRINCIPAL)
    if principal is None and context.strangers.is_crowded(_address(request)):
        raise Problem("TOO_MANY_STRANGERS")
    await socket.prepare(request)
    # They were sent, and would be kept for hours.
    socket.headers.clear()
    if context.streams.full:
        await _shed(socket, context)
        return socket
    if principal is None:
        with context.strangers.present(_address(request)):
            principal = await _introduction(socket, context)
    if principal is not None:
        async with Session(context, principal, socket, request.transport) as session:
            # What was said last is not kept while the next is awaited.
            while await session.hear(await socket.receive()):
                pass
    return socket


def _address(request: web.Request) -> str:
    return request.remote or ""


def _check_origin(request: web.Request, context: Context) -> None:
    """A page of another site must not use a visitor's login here; clients that are no browsers send no Origin."""
    origin = request.headers.get("Origin")
    if origin is None or origin in context.settings.gateway.origins or urlsplit(origin).netloc == request.host:
        return
    raise Problem("ORIGIN_REFUSED")


async def _introduction(socket: web.WebSocketResponse, context: Context) -> Principal | None:
    """Who the first message says the client is; None: the connection is closed."""
    try:
        async with asyncio.timeout(context.bounds.introduction_s):
            message = await socket.receive()
        said = read_message(message.data if message.type is web.WSMsgType.TEXT else "")
        if isinstance(said, Auth):
            return context.authenticator.authenticate(f"Bearer {said.token}")
    except (TimeoutError, ValueError, Problem):
        # Why is not said: a stranger learns nothing but that this was no way in.
        pass
    if not socket.closed:
        await socket.close(code=Close.UNAUTHENTICATED, message=b"the first message must be auth with a valid key")
    return None


async def _shed(socket: web.WebSocketResponse, context: Context) -> None:
    code = Close.DRAINING if context.streams.draining else Close.OVERLOADED
    retry_ms = context.streams.turn_away()
    await socket.send_str(msgspec.json.encode(Bye(code, code.name.lower(), retry_ms)).decode())
    await socket.close(code=code)
