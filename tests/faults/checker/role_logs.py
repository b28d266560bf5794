"""The logs of role processes: JSON lines on standard error, of every life of each process in one file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

GRAVE = ("error", "critical", "fatal")
LONGEST_TEXT = 4000


def grave_lines(folder: Path) -> list[dict[str, Any]]:
    """Lines of level error or above, and what is no JSON, a traceback for example, as `text`."""
    return [line for path in sorted(folder.glob("*.log")) for line in _of_one(path)]


def _of_one(path: Path) -> Iterator[dict[str, Any]]:
    loose: list[str] = []
    for line in path.read_bytes().decode(errors="replace").splitlines():
        entry = _entry(line)
        if entry is None:
            # What was being written when its process was killed is half a line.
            if line.strip() and not line.startswith("{"):
                loose.append(line)
            continue
        if loose:
            yield _text(path, loose)
            loose = []
        if str(entry.get("level", "")).lower() in GRAVE:
            yield {"process": path.stem, **entry}
    if loose:
        yield _text(path, loose)


def _text(path: Path, lines: list[str]) -> dict[str, Any]:
    return {"process": path.stem, "text": "\n".join(lines)[-LONGEST_TEXT:]}


def _entry(line: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None
