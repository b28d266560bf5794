"""Formats, qualities and specs: what is accepted, and how a refusal reads."""

import pytest

from actors.media.errors import MediaError
from actors.media.formats import FORMATS, Quality, find_format, parse_quality
from actors.media.spec import check_spec
from actors.media.task import JobSpec


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("mp3", None, Quality()),
        ("mp3", "", Quality()),
        ("mp3", "192k", Quality(bit_rate=192_000)),
        ("mp3", "320K", Quality(bit_rate=320_000)),
        ("opus", "16k", Quality(bit_rate=16_000)),
        ("m4a", "512k", Quality(bit_rate=512_000)),
        ("flac", None, Quality()),
        ("mp4", "1080p", Quality(shortest_side=1080)),
        ("webm", "2160P", Quality(shortest_side=2160)),
    ],
)
def test_qualities_that_fit(name: str, text: str | None, expected: Quality) -> None:
    assert parse_quality(FORMATS[name], text) == expected


@pytest.mark.parametrize(
    ("name", "text", "works"),
    [
        ("flac", "192k", "choose mp3, m4a or opus for a bit rate"),
        ("wav", "best", "takes no quality"),
        ("mp3", "321k", "32k to 320k"),
        ("mp3", "8k", "32k to 320k"),
        ("mp3", "192", "for example 192k"),
        ("mp3", "1080p", "for example 192k"),
        ("opus", "512k", "16k to 510k"),
        ("mp4", "192k", "for example 1080p"),
        ("mp4", "1080", "for example 1080p"),
        ("webm", "99999p", "for example 1080p"),
        ("mp4", "10p", "for example 1080p"),
        ("mp3", "١٩٢k", "for example 192k"),
        ("mp3", "192k; rm -rf /", "for example 192k"),
    ],
)
def test_a_quality_that_does_not_fit_is_answered_with_what_would(name: str, text: str, works: str) -> None:
    with pytest.raises(MediaError) as caught:
        parse_quality(FORMATS[name], text)
    assert caught.value.code == "QUALITY_INVALID"
    assert caught.value.suggestion is not None
    assert works in caught.value.suggestion


def test_an_unknown_format_is_answered_with_a_likely_one() -> None:
    with pytest.raises(MediaError) as caught:
        find_format("mp33")
    assert caught.value.code == "FORMAT_UNKNOWN"
    assert caught.value.suggestion is not None
    assert "Did you mean `mp3`?" in caught.value.suggestion
    with pytest.raises(MediaError) as caught:
        find_format("x\n\x1b[31m" * 99)
    assert caught.value.message is not None
    assert len(caught.value.message) < 100
    assert caught.value.message.isprintable()


def spec(**fields: object) -> JobSpec:
    return JobSpec(**{"source": "https://example.com/clip.mp4", "format": "mp3", **fields})  # type: ignore[arg-type]


def test_a_good_spec_has_no_problems() -> None:
    assert check_spec(spec(quality="192k", name="My clip", tags=("a", "b"))) == []
    assert check_spec(spec(source="upload:u00-01jd0000000000000000000000")) == []
    assert check_spec(spec(source="HTTP://[2001:db8::1]:8080/a?b=c#d")) == []


@pytest.mark.parametrize(
    "source",
    [
        "",
        "clip.mp4",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://example.com/a",
        "https://",
        "https:///path",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://exa mple.com/",
        "http://example.com/\x00",
        "http://[::1",
        "upload:",
        "https://user:secret@example.com/a",
        "https://example.com/" + "a" * 9000,
        "javascript:alert(1)",
        "data:text/plain,x",
    ],
)
def test_sources_of_another_form_are_refused(source: str) -> None:
    problems = check_spec(spec(source=source))
    assert [(problem.pointer, problem.error.code) for problem in problems] == [("/source", "INVALID_SOURCE")]
    assert "secret" not in str(problems)


def test_every_problem_is_named_at_once() -> None:
    problems = check_spec(spec(source="x", format="mp4", quality="192k", name="", tags=("", "y" * 65)))
    assert [problem.pointer for problem in problems] == ["/source", "/quality", "/name", "/tags/0", "/tags/1"]
