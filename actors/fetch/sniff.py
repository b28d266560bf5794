"""What the first bytes of an answer are: servers name types as they like."""

from enum import StrEnum

SNIFF_BYTES = 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PAGE_STARTS = (
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<body",
    b"<script",
    b"<title",
    b"<meta",
    b"<div",
    b"<p>",
    b"<h1",
)
_MEDIA_TYPES = ("audio/", "video/")
_PAGE_TYPES = ("text/html", "application/xhtml+xml")
_MANIFEST_TYPES = (
    "application/vnd.apple.mpegurl",
    "application/x-mpegurl",
    "audio/mpegurl",
    "audio/x-mpegurl",
    "application/dash+xml",
)


class Content(StrEnum):
    """What is behind an address."""

    FILE = "file"
    PAGE = "page"
    MANIFEST = "manifest"
    PAGE_AS_MEDIA = "page_as_media"
    """A web page that the server calls audio or video: a login or an error page in the place of the file."""


def sniff(content_type: str, start: bytes, *, encoded: bool = False) -> Content:
    """Decide by the bytes, and by the type only where the bytes leave it open.

    `encoded`: the server compressed the bytes although it was asked not to.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if encoded and kind in (*_PAGE_TYPES, *_MANIFEST_TYPES):
        return Content.PAGE if kind in _PAGE_TYPES else Content.MANIFEST
    text = start.removeprefix(_BYTE_ORDER_MARK).lstrip().lower()
    while text.startswith(b"<!--"):
        text = text.partition(b"-->")[2].lstrip()
    if text.startswith(b"#extm3u"):
        return Content.MANIFEST
    if text.startswith(_PAGE_STARTS):
        return Content.PAGE_AS_MEDIA if kind.startswith(_MEDIA_TYPES) else Content.PAGE
    if text.startswith((b"<?xml", b"<mpd")):
        if b"<mpd" in text:
            return Content.MANIFEST
        return Content.PAGE if b"<html" in text else Content.FILE
    if kind in _MANIFEST_TYPES:
        return Content.MANIFEST
    if kind in _PAGE_TYPES and _is_text(start):
        return Content.PAGE
    return Content.FILE


def _is_text(start: bytes) -> bool:
    return bool(start) and b"\x00" not in start
