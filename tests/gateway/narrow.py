"""A socket of the gateway that takes little at a time: the kernel's own buffer would hide a slow client for long."""

import asyncio
import socket

from gateway.streams.connection import Connection

NARROW_BYTES = 4096


def narrow(served: Connection) -> asyncio.Transport:
    """The transport of `served`, whose writes wait as soon as its client does not read."""
    transport = served._transport
    assert transport is not None
    transport.set_write_buffer_limits(high=NARROW_BYTES)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW_BYTES)
    return transport
