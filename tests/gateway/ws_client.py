"""A WebSocket client that reads the messages of `/v1/ws`, built on aiohttp's."""

import asyncio
import json
from typing import Any, Self

import aiohttp

from gateway.http.service import GatewayService
from tests.gateway.keys import KEY

DEADLINE_S = 10.0
BEARER = {"Authorization": f"Bearer {KEY}"}


class WsClient:
    """Pings of the gateway are answered and not shown, unless it is told to be deaf. `heard`: all that was said."""

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    @classmethod
    async def open(
        cls, gateway: GatewayService, headers: dict[str, str] | None = None, *, answers: bool = True
    ) -> Self:
        session = aiohttp.ClientSession()
        try:
            sent = BEARER if headers is None else headers
            socket = await session.ws_connect(f"{gateway.url}/v1/ws", headers=sent, autoping=answers)
        except BaseException:
            await session.close()
            raise
        return cls(session, socket)

    async def say(self, op: str, **fields: object) -> None:
        await self.socket.send_str(json.dumps({"op": op, **fields}))

    async def next(self) -> dict[str, Any]:
        """The next message that is no ping. Raises ConnectionError with the close code at the end."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await self.socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise ConnectionError(self.socket.close_code)
                said: dict[str, Any] = json.loads(message.data)
                self.heard.append(said)
                if said["op"] != "ping":
                    return said

    async def until(self, op: str, **fields: object) -> dict[str, Any]:
        """The next message of this kind with these fields."""
        while True:
            said = await self.next()
            if said["op"] == op and all(said.get(name) == value for name, value in fields.items()):
                return said

    async def subscribe(self, name: str, topic: str, since: str | None = None) -> dict[str, Any]:
        """The answer to `sub`, or to `resume` with `since`."""
        if since is None:
            await self.say("sub", id=name, topic=topic)
        else:
            await self.say("resume", id=name, topic=topic, since=since)
        return await self.until("sub", id=name)

    async def events(self, count: int) -> list[dict[str, Any]]:
        """The next events, as they came."""
        return [await self.until("ev") for _ in range(count)]

    async def ended(self) -> int:
        """Reads until the gateway closes; its code."""
        try:
            while True:
                await self.next()
        except ConnectionError as error:
            return int(error.args[0])

    async def close(self) -> None:
        await self.socket.close()
        await self._session.close()
