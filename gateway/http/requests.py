"""What a request says in its headers, checked. Each header is declared where it is read."""

import re
from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from gateway.http.problems import Problem
from gateway.openapi.operation import header

LONGEST_WAIT_S = 30.0
MOST_KEY_CHARACTERS = 255
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[\x21\x23-\x7e][\x21-\x7e]*")
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=[,;]|$)", re.IGNORECASE)
_ADDED_TYPES = frozenset({"application/x-www-form-urlencoded", "application/octet-stream", "text/plain"})

IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "Names this request, so that it can be repeated: while the key is kept, the same request gets the job that it made "
    f"first. 1 to {MOST_KEY_CHARACTERS} printable ASCII characters, in quotes (RFC 8941) or bare.",
    example='"convert-talk-6f1c0a52"',
)
PREFER = header(
    "Prefer",
    "`wait=N` (RFC 7240): how many seconds the answer may wait for the job's end or, with `If-None-Match`, for its "
    f"next revision; at most {LONGEST_WAIT_S:.0f}.",
    example="wait=20",
)
IF_NONE_MATCH = header(
    "If-None-Match", "The `ETag` that is known already: 304 while nothing has changed.", example='"4-9f86d081884c7d65"'
)
LAST_EVENT_ID = header(
    "Last-Event-ID",
    "The id of the last event that a watcher has seen; a browser's EventSource sends it by itself.",
    example="2m4k8r1p.1790000000123-0",
)


class Headers(Protocol):
    """The headers of a request; one may stand on several lines."""

    def getall(self, name: str, default: list[str], /) -> list[str]: ...


def whole(headers: Headers, name: str) -> str | None:
    """A header that holds a list: its lines are one (RFC 9110, 5.3). None without it."""
    lines = headers.getall(name, [])
    return ", ".join(lines) if lines else None


def idempotency_key(headers: Headers) -> str | None:
    """The Idempotency-Key: a quoted string (RFC 8941), or the same without quotes. Raises Problem."""
    sent = headers.getall(IDEMPOTENCY_KEY.name, [])
    if not sent:
        return None
    if len(sent) > 1:
        raise Problem("INVALID_IDEMPOTENCY_KEY", detail="There is more than one Idempotency-Key.")
    text = sent[0].strip()
    quoted = _STRING.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if not 1 <= len(key) <= MOST_KEY_CHARACTERS or (quoted is None and not _BARE.fullmatch(key)):
        raise Problem("INVALID_IDEMPOTENCY_KEY")
    return key


def wait_s(headers: Headers) -> float | None:
    """How long `Prefer: wait=N` (RFC 7240) allows the answer to take, at most 30 s; None without it."""
    match = _WAIT.search(whole(headers, PREFER.name) or "")
    return min(float(match[1]), LONGEST_WAIT_S) if match else None


def check_json_type(headers: Mapping[str, str]) -> None:
    """Raises Problem UNSUPPORTED_TYPE when a body says that it is something else than JSON.

    Types that clients add by themselves are no such word.
    """
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json") and kind not in _ADDED_TYPES:
        raise Problem("UNSUPPORTED_TYPE", detail=f"The body is `{kind[:60]}`, not JSON.")


async def ask_later(_request: web.Request) -> None:
    """Leaves `Expect: 100-continue` unanswered, so that a request which is refused anyway never sends its body."""


async def send_continue(request: web.Request) -> None:
    """Tells a client that waits with its body to send it. Raises Problem when the body is compressed."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise Problem("UNSUPPORTED_ENCODING", headers={"Accept-Encoding": "identity"})
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def wants_event_stream(headers: Headers) -> bool:
    """Whether the Accept header names Server-Sent Events."""
    for entry in (whole(headers, "Accept") or "").split(","):
        kind, *options = (part.strip().lower() for part in entry.split(";"))
        if kind == "text/event-stream":
            return not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", option) for option in options)
    return False
