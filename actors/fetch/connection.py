"""An HTTP client that connects only where the egress policy allows it."""

import asyncio
import socket
from typing import Any

import aiohttp

from actors.egress import EgressPolicy, EgressRefused

MOST_REDIRECTS = 5
USER_AGENT = "Mozilla/5.0 (compatible; Reelway)"


class Guard:
    """Makes the sockets of one client. It sees the address that each of them is about to connect to, on every hop."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self.refused: str | None = None
        """Why the last connection was refused; None when one was allowed after it."""

    def make_socket(self, address: Any) -> socket.socket:
        family, kind, protocol, _, target = address
        try:
            self._policy.check(str(target[0]))
        except EgressRefused as error:
            self.refused = str(error)
            raise
        self.refused = None
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


def open_client(guard: Guard, *, connect_timeout_s: float, read_timeout_s: float) -> aiohttp.ClientSession:
    """A client for one job. It takes no proxy from the environment: a proxy would connect in its place."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=guard.make_socket, limit=4, use_dns_cache=False),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=connect_timeout_s, sock_read=read_timeout_s
        ),
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.CookieJar(),
        loop=asyncio.get_running_loop(),
    )
