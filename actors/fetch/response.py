"""What an answer of a server says about the file behind it (RFC 9110)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_CONTENT_RANGE = re.compile(r"bytes\s+([0-9]+)-([0-9]+)/([0-9]+|\*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
LONGEST_RETRY_AFTER_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Version:
    """Which version of a file an answer carries. `validator` is what If-Range can hold: a strong
    ETag, else the time of the last change, else None."""

    validator: str | None
    etag: str | None
    total_bytes: int | None


UNKNOWN_VERSION = Version(None, None, None)


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes that a 206 carries: from `start` on, of `total_bytes` if the server knows."""

    start: int
    total_bytes: int | None


def version_of(headers: Mapping[str, str], total_bytes: int | None) -> Version:
    """The version that an answer names."""
    etag = headers.get("ETag")
    strong = etag if etag and not etag.startswith("W/") else None
    return Version(strong or headers.get("Last-Modified"), etag, total_bytes)


def length_of(headers: Mapping[str, str]) -> int | None:
    """Content-Length, or None when it is missing or says nothing."""
    text = headers.get("Content-Length", "").strip()
    return int(text) if _LENGTH.fullmatch(text) else None


def part_of(headers: Mapping[str, str]) -> Part | None:
    """Content-Range, or None when it is missing or not in bytes."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None:
        return None
    return Part(int(match[1]), None if match[3] == "*" else int(match[3]))


def same_version(before: Version, after: Version) -> bool:
    """Whether two answers may carry parts of the same bytes."""
    if before.etag is not None and after.etag is not None and before.etag != after.etag:
        return False
    known = before.total_bytes is not None and after.total_bytes is not None
    return not known or before.total_bytes == after.total_bytes


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Retry-After in seconds, from a number or a date; None when there is none that makes sense."""
    text = headers.get("Retry-After", "").strip()
    if _LENGTH.fullmatch(text):
        return min(float(text), LONGEST_RETRY_AFTER_S)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    wait_s = (when - (now or datetime.now(UTC))).total_seconds()
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)
