"""Which of a page's formats to take. Formats are yt-dlp's dictionaries, from worst to best."""

from collections.abc import Mapping, Sequence
from typing import Any

Format = Mapping[str, Any]

_PROTOCOLS = frozenset({"http", "https", "m3u8", "m3u8_native", "http_dash_segments"})
_NONE = "none"


def choose(
    formats: Sequence[Format], *, audio_only: bool, shortest_side: int | None, codecs: Sequence[str]
) -> Format | None:
    """One format that holds everything the result needs, or None.

    For sound alone a format without picture is taken wherever there is one. A picture is at most
    `shortest_side` if such a format exists; among equal sizes one whose codecs fit is preferred.
    Formats that hold only a half are never put together here: sound would be missing.
    """
    usable = [entry for entry in formats if entry.get("protocol") in _PROTOCOLS and not entry.get("has_drm")]
    sound = [entry for entry in usable if entry.get("vcodec") == _NONE and entry.get("acodec") != _NONE]
    both = [entry for entry in usable if entry.get("vcodec") != _NONE and entry.get("acodec") != _NONE]
    if audio_only:
        return _best_sound(sound) or (both[-1] if both else None)
    pictures = [entry for entry in usable if entry.get("vcodec") != _NONE]
    candidates = both or ([] if sound else pictures)
    if not candidates:
        return None
    within = [entry for entry in candidates if shortest_side is None or _side(entry) <= shortest_side]
    if not within:
        return min(candidates, key=_side)
    order = {id(entry): number for number, entry in enumerate(candidates)}
    return max(within, key=lambda entry: (_side(entry), _fits(entry, codecs), order[id(entry)]))


def _best_sound(formats: Sequence[Format]) -> Format | None:
    """The original language first, then the best one."""
    order = {id(entry): number for number, entry in enumerate(formats)}
    return max(formats, key=lambda entry: (entry.get("language_preference") or -1, order[id(entry)]), default=None)


def _side(entry: Format) -> int:
    sides = [side for side in (entry.get("width"), entry.get("height")) if side]
    return min(sides) if sides else 0


def _fits(entry: Format, codecs: Sequence[str]) -> int:
    names = {"avc1": "h264", "avc3": "h264", "mp4a": "aac", "vp09": "vp9", "vp08": "vp8", "av01": "av1"}
    held = (str(entry.get(kind) or "").partition(".")[0] for kind in ("vcodec", "acodec"))
    return sum(names.get(codec, codec) in codecs for codec in held)
