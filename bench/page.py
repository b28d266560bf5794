"""Sections of documentation that a program writes, between two comments."""

from pathlib import Path


def write_section(page: Path, start: str, end: str, text: str) -> None:
    """Puts `text` between the comments `start` and `end`. Raises ValueError where the page has no such place."""
    before, opened, rest = page.read_text("utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"{page} has no place between {start} and {end}")
    page.write_text(f"{before}{start}\n{text}{end}{after}", "utf-8")
