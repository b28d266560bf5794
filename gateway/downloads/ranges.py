"""Conditional and range requests, as RFC 9110 sections 13 and 14 say. Pure: headers in, a decision out.

aiohttp's own file answers are not used: they compare no entity tag in If-Range, which joins two different files in a
resumed download, and they refuse what the RFC tells a server to ignore.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gateway.http.requests import IF_NONE_MATCH
from gateway.openapi.operation import header

RANGE = header(
    "Range", "One range of bytes; several, and other units, are answered with the whole.", example="bytes=0-1023"
)
IF_RANGE = header(
    "If-Range", "The range only of this version, by its ETag or date; else the whole.", example='"9f86d081884c7d65"'
)
IF_MATCH = header("If-Match", "Only this version: 412 if it is another.", example='"9f86d081884c7d65"')
IF_MODIFIED_SINCE = header("If-Modified-Since", "304 unless it is newer.", example="Sat, 31 Jan 2026 12:00:00 GMT")
IF_UNMODIFIED_SINCE = header("If-Unmodified-Since", "412 if it is newer.", example="Sat, 31 Jan 2026 12:00:00 GMT")

# Longer numbers than any file needs are as malformed as letters.
_RANGE = re.compile(r"\s*([0-9]{0,30})\s*-\s*([0-9]{0,30})\s*")
_ENTITY_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


@dataclass(frozen=True, slots=True)
class Representation:
    """What is asked for: its size, its strong entity tag with quotes, and when it was last modified (whole seconds)."""

    size_bytes: int
    entity_tag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Full:
    """Send everything with 200."""


@dataclass(frozen=True, slots=True)
class Partial:
    """Send the bytes `first` to `last`, both included, with 206."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class NotModified:
    """The client has it already: 304."""


@dataclass(frozen=True, slots=True)
class PreconditionFailed:
    """The client asked for another version: 412."""


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """The range lies outside: 416 with the size in Content-Range."""


Decision = Full | Partial | NotModified | PreconditionFailed | Unsatisfiable


def decide(headers: Mapping[str, str], representation: Representation) -> Decision:
    """What to answer to a GET or HEAD with these headers, in the order of RFC 9110 section 13.2.2."""
    if _precondition_fails(headers, representation):
        return PreconditionFailed()
    if _is_not_modified(headers, representation):
        return NotModified()
    text = headers.get(RANGE.name)
    if text is None or not _if_range_holds(headers.get(IF_RANGE.name), representation):
        return Full()
    return _range(text, representation.size_bytes)


def _precondition_fails(headers: Mapping[str, str], representation: Representation) -> bool:
    wanted = headers.get(IF_MATCH.name)
    if wanted is not None:
        return wanted.strip() != "*" and representation.entity_tag not in _tags(wanted)
    since = _date(headers.get(IF_UNMODIFIED_SINCE.name))
    return since is not None and representation.modified_at > since


def _is_not_modified(headers: Mapping[str, str], representation: Representation) -> bool:
    known = headers.get(IF_NONE_MATCH.name)
    if known is not None:
        # The weak comparison: W/"x" and "x" are the same content.
        tags = {tag.removeprefix("W/") for tag in _tags(known)}
        return known.strip() == "*" or representation.entity_tag in tags
    since = _date(headers.get(IF_MODIFIED_SINCE.name))
    return since is not None and representation.modified_at <= since


def _if_range_holds(text: str | None, representation: Representation) -> bool:
    if text is None:
        return True
    if text.lstrip().startswith(('"', "W/")):
        # The strong comparison: a weak tag never matches.
        return text.strip() == representation.entity_tag
    date = _date(text)
    return date is not None and date == representation.modified_at


def _range(text: str, size_bytes: int) -> Decision:
    unit, separator, ranges = text.partition("=")
    # An unknown unit, several ranges and a malformed range are ignored: section 14.2 allows it, and a client that
    # asked for a part can always use the whole.
    match = _RANGE.fullmatch(ranges)
    if not separator or unit.strip().lower() != "bytes" or match is None:
        return Full()
    first, last = match.groups()
    if first:
        return _from(int(first), int(last) if last else size_bytes - 1, size_bytes, bounded=bool(last))
    if not last:
        return Full()
    length = min(int(last), size_bytes)
    return Partial(size_bytes - length, size_bytes - 1) if length else Unsatisfiable()


def _from(first: int, last: int, size_bytes: int, *, bounded: bool) -> Decision:
    if bounded and last < first:
        return Full()
    if first >= size_bytes:
        return Unsatisfiable()
    return Partial(first, min(last, size_bytes - 1))


def _tags(text: str) -> list[str]:
    return _ENTITY_TAG.findall(text)


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
