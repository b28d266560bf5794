"""Reading several streams with one call, as they were written."""

from collections.abc import Mapping
from typing import Any

Entry = tuple[bytes, list[bytes]]
"""Id, and the names and values of the fields in turn. (On the wire a list; nobody changes it.)"""


def xread(places: Mapping[str, str], *, count: int, block_ms: int) -> tuple[str | int, ...]:
    """The command for what follows these ids in these streams: at most `count` entries of each.

    The reply is nothing when nothing comes in `block_ms`. For a client of `connect`: that of another hand would make a
    dict of each entry.
    """
    return ("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", *places, *places.values())


def by_stream(reply: Any) -> dict[str, list[Entry]]:
    """What was answered to `xread`, by stream; a stream without news is not there."""
    return {name.decode(): found for name, found in reply or ()}
