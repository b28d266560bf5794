"""The end of a listener: nobody who has connected is reset.

Closing a listening socket resets whoever waits in its queue, and whoever is half-way into it. So the kernel is told
first to take no new connection (a filter on the socket, as socket(7) and Linux's networking/filter.rst have it); those
that are on their way get in and are answered. A client that is not let in asks again after a second, as TCP does, and
is refused then, or finds the next process.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import struct

SETTLE_S = 0.05
"""How long who was on the way may take to get in, and to say what is wanted."""
_SO_ATTACH_FILTER = 26
_INSTRUCTIONS = (
    (0x30, 0, 0, 13),  # load the byte of TCP's flags, which is number 13 of its header
    (0x45, 0, 1, 0x02),  # is SYN set?
    (0x06, 0, 0, 0),  # yes: drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # no: pass it whole
)


async def stop_listening(listener: asyncio.Server) -> None:
    """Returns when nobody can connect any more and everybody who had has been heard."""
    for each in listener.sockets:
        with socket.socket(fileno=os.dup(each.fileno())) as own:
            _let_nobody_in(own)
    await asyncio.sleep(SETTLE_S)
    listener.close()


def _let_nobody_in(listening: socket.socket) -> None:
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _INSTRUCTIONS)
    kept = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HP", len(_INSTRUCTIONS), ctypes.addressof(kept))
    # A kernel without filters resets a few; that is no reason not to stop.
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
