"""Names are made from text that anybody may have written."""

import pytest

from actors.media.names import MOST_NAME_BYTES, display_name, name_from_address, stem_of


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("clip", "clip.mp3"),
        ("clip.mp3", "clip.mp3"),
        ("clip.MP3", "clip.mp3"),
        (None, "output.mp3"),
        ("", "output.mp3"),
        ("..", "output.mp3"),
        ("T/../../../etc/x", "T_.._.._.._etc_x.mp3"),
        ("C:\\a\\b", "C__a_b.mp3"),
        (".hidden", "hidden.mp3"),
        ("a\x00b\nc\x1b[31m", "abc[31m.mp3"),
        ("con", "output.mp3"),
        ("gnp\u202e.exe", "gnp.exe.mp3"),
        ("e\u0301t\u00e9", "\u00e9t\u00e9.mp3"),
        ("  many   spaces  ", "many spaces.mp3"),
        ("\ud800broken", "broken.mp3"),
    ],
)
def test_names_are_safe(stem: str | None, expected: str) -> None:
    assert display_name(stem, "mp3") == expected


def test_long_names_are_cut_between_characters() -> None:
    name = display_name("é" * 300, "mp3")
    assert len(name.encode()) <= MOST_NAME_BYTES
    assert name == "é" * 88 + ".mp3"


def test_stems_and_addresses() -> None:
    assert stem_of("a.b.mp4") == "a.b"
    assert stem_of("Vol. 2 of everything") == "Vol. 2 of everything"
    assert stem_of(".bashrc") == ".bashrc"
    assert name_from_address("https://example.com/a/My%20clip.mp4?x=/y.z") == "My clip.mp4"
    assert name_from_address("https://example.com/") == ""
