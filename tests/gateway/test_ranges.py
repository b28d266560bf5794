"""RFC 9110 sections 13 and 14 as a table: what a client sends, what it gets."""

from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from gateway.downloads.disposition import attachment
from gateway.downloads.ranges import (
    Decision,
    Full,
    NotModified,
    Partial,
    PreconditionFailed,
    Representation,
    Unsatisfiable,
    decide,
)

FILE = Representation(1000, '"v2"', datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC))
DATE = "Sun, 01 Mar 2026 12:00:00 GMT"
EARLIER = "Sun, 01 Mar 2026 11:59:59 GMT"
LATER = "Sun, 01 Mar 2026 12:00:01 GMT"

TABLE: list[tuple[dict[str, str], Decision]] = [
    ({}, Full()),
    # 14.1.2 byte ranges
    ({"Range": "bytes=0-499"}, Partial(0, 499)),
    ({"Range": "bytes=500-999"}, Partial(500, 999)),
    ({"Range": "bytes=500-"}, Partial(500, 999)),
    ({"Range": "bytes=-500"}, Partial(500, 999)),
    ({"Range": "bytes=0-0"}, Partial(0, 0)),
    ({"Range": "bytes=-1"}, Partial(999, 999)),
    ({"Range": "bytes=999-"}, Partial(999, 999)),
    ({"Range": "BYTES=0-9"}, Partial(0, 9)),
    ({"Range": "bytes= 0 - 9 "}, Partial(0, 9)),
    # a last position past the end, and a suffix longer than the file, mean the end and the whole
    ({"Range": "bytes=900-5000"}, Partial(900, 999)),
    ({"Range": "bytes=-5000"}, Partial(0, 999)),
    ({"Range": "bytes=0-99999999999999999999999999"}, Partial(0, 999)),
    # unsatisfiable
    ({"Range": "bytes=1000-"}, Unsatisfiable()),
    ({"Range": "bytes=1000-1001"}, Unsatisfiable()),
    ({"Range": "bytes=-0"}, Unsatisfiable()),
    # ignored: unknown unit, several ranges, malformed
    ({"Range": "items=0-5"}, Full()),
    ({"Range": "bytes=0-1,5-9"}, Full()),
    ({"Range": "bytes=0-1, 2-3"}, Full()),
    ({"Range": "bytes=9-1"}, Full()),
    ({"Range": "bytes=-"}, Full()),
    ({"Range": "bytes="}, Full()),
    ({"Range": "bytes=a-b"}, Full()),
    ({"Range": "bytes=٣-٤"}, Full()),
    ({"Range": "0-499"}, Full()),
    ({"Range": "bytes=" + "9" * 5000 + "-"}, Full()),
    # 13.1.5 If-Range
    ({"Range": "bytes=0-9", "If-Range": '"v2"'}, Partial(0, 9)),
    ({"Range": "bytes=0-9", "If-Range": '"v1"'}, Full()),
    ({"Range": "bytes=0-9", "If-Range": 'W/"v2"'}, Full()),
    ({"Range": "bytes=0-9", "If-Range": DATE}, Partial(0, 9)),
    ({"Range": "bytes=0-9", "If-Range": EARLIER}, Full()),
    ({"Range": "bytes=0-9", "If-Range": LATER}, Full()),
    ({"Range": "bytes=0-9", "If-Range": "rubbish"}, Full()),
    ({"Range": "bytes=1000-", "If-Range": '"v1"'}, Full()),
    ({"If-Range": '"v1"'}, Full()),
    # 13.1.1 If-Match
    ({"If-Match": '"v2"'}, Full()),
    ({"If-Match": '"v1", "v2"'}, Full()),
    ({"If-Match": "*"}, Full()),
    ({"If-Match": '"v1"'}, PreconditionFailed()),
    ({"If-Match": 'W/"v2"'}, PreconditionFailed()),
    ({"If-Match": '"v1"', "If-None-Match": '"v2"'}, PreconditionFailed()),
    # 13.1.4 If-Unmodified-Since, ignored next to If-Match
    ({"If-Unmodified-Since": DATE}, Full()),
    ({"If-Unmodified-Since": EARLIER}, PreconditionFailed()),
    ({"If-Unmodified-Since": EARLIER, "If-Match": '"v2"'}, Full()),
    ({"If-Unmodified-Since": "rubbish"}, Full()),
    # 13.1.2 If-None-Match
    ({"If-None-Match": '"v2"'}, NotModified()),
    ({"If-None-Match": 'W/"v2"'}, NotModified()),
    ({"If-None-Match": '"v1", "v2"'}, NotModified()),
    ({"If-None-Match": "*"}, NotModified()),
    ({"If-None-Match": '"v1"'}, Full()),
    ({"If-None-Match": '"v2"', "Range": "bytes=0-9"}, NotModified()),
    # 13.1.3 If-Modified-Since, ignored next to If-None-Match
    ({"If-Modified-Since": DATE}, NotModified()),
    ({"If-Modified-Since": LATER}, NotModified()),
    ({"If-Modified-Since": EARLIER}, Full()),
    ({"If-Modified-Since": DATE, "If-None-Match": '"v1"'}, Full()),
]


@pytest.mark.parametrize(("headers", "decision"), TABLE, ids=[str(headers)[:60] for headers, _ in TABLE])
def test_rfc_9110(headers: dict[str, str], decision: Decision) -> None:
    assert decide(CIMultiDict(headers), FILE) == decision


def test_an_empty_file_has_no_range() -> None:
    empty = Representation(0, '"v2"', FILE.modified_at)
    assert decide({"Range": "bytes=0-"}, empty) == Unsatisfiable()
    assert decide({"Range": "bytes=-5"}, empty) == Unsatisfiable()


def test_names_of_downloads() -> None:
    assert attachment("clip.mp3") == 'attachment; filename="clip.mp3"'
    assert attachment('a"b\\c.mp3') == "attachment; filename=\"a_b_c.mp3\"; filename*=UTF-8''a%22b%5Cc.mp3"
    assert attachment("Füße 日本.mp3") == (
        "attachment; filename=\"F__e __.mp3\"; filename*=UTF-8''F%C3%BC%C3%9Fe%20%E6%97%A5%E6%9C%AC.mp3"
    )
    assert "\r" not in attachment("a\r\nX: y.mp3")
    assert "\n" not in attachment("a\r\nX: y.mp3")
