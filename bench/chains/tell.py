"""How a worker process reports: lines of JSON into a FIFO, one write each, so that those of several do not mix."""

import os
from collections.abc import Callable
from typing import Any

import msgspec

Tell = Callable[..., None]


def open_report(path: str) -> Tell:
    """Called with the event and what is to be said of it."""
    fifo = os.open(path, os.O_WRONLY | os.O_APPEND)

    def tell(event: str, **said: Any) -> None:
        os.write(fifo, msgspec.json.encode({"event": event, "process": os.getpid(), **said}) + b"\n")

    return tell
