"""A raw socket to a gateway, with a receive buffer of a chosen size."""

import asyncio
import socket

ANSWERED_WITHIN_S = 15.0
SEGMENT_BYTES = 1400
SILENT_S = 25.0
"""A gateway gives a sign of life each 15 to 20 s; who hears none for longer comes back, as a watchdog would."""


async def connected(port: int, receive_buffer_bytes: int | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises OSError or TimeoutError."""
    sock = socket.socket()
    try:
        sock.setblocking(False)
        if receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            # As on a real network: loopback's segments of 64 KiB make the sender's buffer more than a megabyte.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            return await asyncio.open_connection(sock=sock, limit=receive_buffer_bytes or 1 << 16)
    except BaseException:
        sock.close()
        raise
