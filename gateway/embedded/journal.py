"""The supervisor's log: JSON lines with the field names every role uses, without the cost of a logging library."""

import contextlib
import json
import sys
import time


def rfc3339(at_s: float) -> str:
    """UTC with milliseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at_s))}.{int(at_s % 1 * 1000):03d}Z"


def write(level: str, event: str, **fields: str | float | None) -> None:
    """One line on stderr."""
    line = {"event": event, "level": level, "timestamp": rfc3339(time.time()), "role": "supervisor", **fields}
    with contextlib.suppress(OSError):  # a full disk must not end what it is told about
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()
