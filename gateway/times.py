"""Times as clients see them: RFC 3339 in UTC with milliseconds."""

from datetime import UTC, datetime


def timestamp(at_ms: int) -> str:
    """`at_ms` (milliseconds since 1970) as text, for example 2026-01-31T12:00:00.250Z."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def optional_timestamp(at_ms: int | None) -> str | None:
    """The same, keeping None."""
    return None if at_ms is None else timestamp(at_ms)
