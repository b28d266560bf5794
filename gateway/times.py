"""Times as clients see them: RFC 3339 in UTC with milliseconds."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, examples=["2026-01-31T12:00:00.250Z"])]
"""A time in an answer."""


@lru_cache(maxsize=1024)
def timestamp(at_ms: int) -> str:
    """`at_ms` (milliseconds since 1970) as text, for example 2026-01-31T12:00:00.250Z."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def optional_timestamp(at_ms: int | None) -> str | None:
    """The same, keeping None."""
    return None if at_ms is None else timestamp(at_ms)


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970 of a time with its offset."""
    return round(at.timestamp() * 1000)


def now_ms() -> int:
    """Milliseconds since 1970, by this host's clock."""
    return time.time_ns() // 1_000_000
