"""Times and durations as a person types them."""

import argparse
import re
import time
from datetime import UTC, datetime

_DURATION = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration_s(text: str) -> int | None:
    """Seconds of a duration such as 90s, 15m, 6h or 7d; None for anything else."""
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _SECONDS[found[2]] if found else None


def ago(text: str) -> str:
    """The time, as the API has it, that an age or a time names. For argparse."""
    age_s = duration_s(text)
    return _moment(text) if age_s is None else _written(datetime.fromtimestamp(time.time() - age_s, UTC))


def start(text: str) -> dict[str, str | int]:
    """The field of a request that a delay or a time makes. For argparse."""
    delay_s = duration_s(text)
    return {"start_at": _moment(text)} if delay_s is None else {"delay_s": delay_s}


def _moment(text: str) -> str:
    # A time without an offset is of this machine's zone.
    try:
        return _written(datetime.fromisoformat(text))
    except ValueError:
        message = f"`{text}` is neither a duration such as 7d nor a time such as 2026-01-31T12:00:00Z"
        raise argparse.ArgumentTypeError(message) from None


def positive(text: str) -> int:
    """A count. For argparse."""
    if not (text.isascii() and text.isdecimal() and int(text) >= 1):
        message = f"`{text}` is no number from 1 on"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
