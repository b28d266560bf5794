"""What the first bytes of an answer are, and what its headers say."""

from datetime import UTC, datetime

import pytest

from actors.fetch.response import length_of, part_of, retry_after_s, same_version, version_of
from actors.fetch.sniff import Content, sniff


@pytest.mark.parametrize(
    ("kind", "start", "expected"),
    [
        ("video/mp4", b"\x00\x00\x00 ftypisom", Content.FILE),
        ("text/html", b"\x00\x00\x00 ftypisom", Content.FILE),
        ("text/plain", b"ID3\x04\x00", Content.FILE),
        ("", b"RIFF\x24\x00\x00\x00WAVE", Content.FILE),
        ("application/octet-stream", b"plain words", Content.FILE),
        ("text/html; charset=utf-8", b"plain words", Content.PAGE),
        ("", b"<!DOCTYPE HTML>", Content.PAGE),
        ("", b"\xef\xbb\xbf\r\n <HTML>", Content.PAGE),
        ("", b"<!-- a --> <!-- b -->\n<html>", Content.PAGE),
        ("video/mp4", b"<html>log in", Content.PAGE_AS_MEDIA),
        ("audio/mpeg", b"<!doctype html>", Content.PAGE_AS_MEDIA),
        ("text/plain", b"#EXTM3U\n", Content.MANIFEST),
        ("application/vnd.apple.mpegurl", b"anything", Content.MANIFEST),
        ("", b'<?xml version="1.0"?><MPD xmlns="x">', Content.MANIFEST),
        ("application/xml", b'<?xml version="1.0"?><html xmlns="x">', Content.PAGE),
        ("application/xml", b'<?xml version="1.0"?><rss>', Content.FILE),
        ("", b"", Content.FILE),
    ],
)
def test_bytes_decide_before_types(kind: str, start: bytes, expected: Content) -> None:
    assert sniff(kind, start) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("999999999", 86_400.0),
        ("Fri, 20 Nov 2026 00:01:00 GMT", 60.0),
        ("Fri, 20 Nov 2026 00:00:00 -0100", 3600.0),
        ("Thu, 19 Nov 2026 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after(text: str, expected: float | None) -> None:
    assert retry_after_s({"Retry-After": text}, datetime(2026, 11, 20, tzinfo=UTC)) == expected


def test_ranges_and_lengths_are_read_strictly() -> None:
    part = part_of({"Content-Range": "bytes 100-199/1000"})
    assert part is not None
    assert (part.start, part.total_bytes) == (100, 1000)
    unknown = part_of({"Content-Range": "bytes 100-199/*"})
    assert unknown is not None
    assert unknown.total_bytes is None
    for text in ("", "bytes */1000", "items 1-2/3", "bytes 1-2", "bytes -1-2/3"):
        assert part_of({"Content-Range": text}) is None
    assert length_of({"Content-Length": "12"}) == 12
    for text in ("", "-1", "1e3", "12, 12", "9" * 30):
        assert length_of({"Content-Length": text}) is None


def test_only_strong_validators_resume() -> None:
    assert version_of({"ETag": '"a"', "Last-Modified": "x"}, 1).validator == '"a"'
    assert version_of({"ETag": 'W/"a"', "Last-Modified": "x"}, 1).validator == "x"
    assert version_of({"ETag": 'W/"a"'}, 1).validator is None
    assert not same_version(version_of({"ETag": 'W/"a"'}, 1), version_of({"ETag": 'W/"b"'}, 1))
    assert not same_version(version_of({}, 1), version_of({}, 2))
    assert same_version(version_of({}, 1), version_of({}, None))
