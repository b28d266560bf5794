"""One request over HTTP: sent with the key, answered in full or as a typed error, tried again while patience lasts."""

import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from gateway.client.address import Address
from gateway.client.errors import GatewayError, Problem, ProblemError, Unreachable
from gateway.client.patience import Lost, Patience

# A gateway that answered before is probably being restarted; one that never did is probably not there.
FIRST_PATIENCE_S = 5.0
SILENCE_S = 45.0
"""A connection on which nothing moves for so long is half open. A gateway's heartbeats come about every 20 s."""
PIECE_BYTES = 1 << 18
_MOST_REDIRECTS = 3
_BROKEN = (aiohttp.ClientError, OSError, TimeoutError)

Where = Callable[[], Awaitable[Address]]


class Transport:
    """The requests of one client. `where` is asked before the first one and after every connection that was lost."""

    def __init__(self, where: Where, patience_s: float) -> None:
        self._where = where
        self._patience_s = patience_s
        self._address: Address | None = None
        self._session: aiohttp.ClientSession | None = None
        self._met = False

    async def patience(self) -> Patience:
        """How long to try what is begun now. A gateway that has to start first is waited for before that."""
        await self._found()
        return Patience(lambda: self._patience_s if self._met else min(FIRST_PATIENCE_S, self._patience_s))

    async def ask(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The body of the answer to a request that is safe to repeat. Raises ProblemError or Unreachable."""
        patience = await self.patience()
        while True:
            try:
                async with self.exchange(method, path, body=body, headers=headers) as response:
                    return await read_all(response)
            except Lost as lost:
                failure = lost
            # Outside of the handler, so that an error carries nothing of the library's along.
            await patience.pause(failure)

    @contextlib.asynccontextmanager
    async def exchange(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        is_redirected: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request and its answer, whose body is read within. Raises Lost, or ProblemError for a refusal."""
        try:
            response = await self._send(method, path, body, headers or {}, is_redirected=is_redirected)
            # At its end a connection whose answer was not read in full is closed, and what is still being sent stopped.
            async with response:
                if response.status >= 300:
                    raise await _refusal(response)
                yield response
        except Lost:
            self._address = None
            raise

    async def _send(
        self, method: str, path: str, body: Any, headers: Mapping[str, str], *, is_redirected: bool
    ) -> aiohttp.ClientResponse:
        address = await self._found()
        sent = {"Authorization": f"Bearer {address.key}", "Accept": "application/json", **headers}
        try:
            # To another host the library takes the key off a request that is redirected.
            response = await self._opened().request(
                method,
                URL(address.of(path), encoded=True),
                data=body,
                headers=sent,
                allow_redirects=is_redirected,
                max_redirects=_MOST_REDIRECTS,
            )
        except _BROKEN as error:
            # A certificate does not become good by waiting.
            failure = lost(error).outcome if isinstance(error, aiohttp.ClientSSLError) else lost(error)
        else:
            self._met = True
            return response
        raise failure

    async def _found(self) -> Address:
        if self._address is None:
            self._address = await self._where()
        return self._address

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Every watcher has a connection of its own.
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=SILENCE_S, sock_read=SILENCE_S),
                headers={"User-Agent": "reelway", "Accept-Encoding": "identity"},
                read_bufsize=PIECE_BYTES,
            )
        return self._session

    async def close(self) -> None:
        """End every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def lost(cause: Exception | str) -> Lost:
    """What is told when a connection broke."""
    told = str(cause) or type(cause).__name__
    if isinstance(cause, aiohttp.ClientConnectorError) and cause.os_error.errno:
        told = f"{cause.host}:{cause.port}: {os.strerror(cause.os_error.errno)}"
    return Lost(Unreachable(f"The gateway cannot be reached: {told}."))


async def read_piece(response: aiohttp.ClientResponse) -> bytes:
    """The next bytes of an answer, none at its end. Raises Lost when it breaks off."""
    try:
        return await response.content.readany()
    except _BROKEN as error:
        failure = lost(error)
    raise failure


async def read_all(response: aiohttp.ClientResponse) -> bytes:
    """All of an answer. Raises Lost."""
    content = bytearray()
    while piece := await read_piece(response):
        content += piece
    return bytes(content)


async def _refusal(response: aiohttp.ClientResponse) -> GatewayError | Lost:
    content = await read_all(response)
    try:
        problem = msgspec.json.decode(content, type=Problem)
    except msgspec.DecodeError:
        problem = Problem(f"HTTP_{response.status}", detail=f"The gateway answered {response.status}.")
    retry_after_s = _retry_after_s(response.headers.get("Retry-After", ""))
    error = ProblemError(problem, response.status, retry_after_s)
    return Lost(error, retry_after_s) if error.passes else error


def _retry_after_s(text: str) -> float:
    """Seconds, or a date (RFC 9110, section 10.2.3)."""
    if text.isascii() and text.isdecimal():
        return float(text[:6])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
