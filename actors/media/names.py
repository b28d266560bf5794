"""Names of files that people see, made from text that anybody may have written."""

import unicodedata
from urllib.parse import unquote, urlsplit

MOST_NAME_BYTES = 180
"""Longest name in UTF-8: leaves room for a suffix within the 255 bytes of common file systems."""

FALLBACK_STEM = "output"

_UNSAFE = frozenset('/\\:*?"<>|')
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
)


def display_name(stem: str | None, extension: str) -> str:
    """A file name `<stem>.<extension>` that is safe on every common file system.

    Separators, control and formatting characters and leading dots go; the result is at most
    MOST_NAME_BYTES long in UTF-8. A stem of nothing usable becomes `output`.
    """
    suffix = f".{extension}"
    cleaned = clean_text(stem or "")
    if cleaned.casefold().endswith(suffix.casefold()):
        cleaned = cleaned[: -len(suffix)]
    cleaned = _cut(cleaned, MOST_NAME_BYTES - len(suffix.encode())).strip(" .")
    if not cleaned or cleaned.casefold() in _RESERVED:
        cleaned = FALLBACK_STEM
    return cleaned + suffix


def clean_text(text: str) -> str:
    """The text as part of a file name: no separators, control or invisible characters."""
    normal = unicodedata.normalize("NFC", text)
    kept = "".join(
        "_" if character in _UNSAFE else character
        for character in normal
        if character.isprintable() or character == " "
    )
    return " ".join(kept.split()).strip(" .")


def stem_of(name: str) -> str:
    """The name without its last extension, if it has one of at most ten characters."""
    stem, dot, extension = name.rpartition(".")
    return stem if dot and stem and 0 < len(extension) <= 10 and extension.isalnum() else name


def name_from_address(address: str) -> str:
    """The last part of an address's path, decoded; empty when there is none."""
    return unquote(urlsplit(address).path.rstrip("/").rpartition("/")[2], errors="replace")


def _cut(text: str, most_bytes: int) -> str:
    return text.encode("utf-8", "ignore")[:most_bytes].decode("utf-8", "ignore")
