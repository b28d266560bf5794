"""What each system guarantees in a run, as one Markdown table: what its figures are to be weighed against."""

from collections.abc import Iterable

from bench.systems.system import System

TITLES = {
    "reelway": "Reelway",
    "bullmq": "BullMQ",
    "dramatiq": "dramatiq",
    "faststream": "FastStream",
    "taskiq": "taskiq",
    "saq": "SAQ",
    "arq": "arq",
    "streaq": "streaq",
    "docket": "docket",
    "celery": "Celery",
    "rq": "rq",
}
"""The name of each system as its own makers write it, in the order of the table."""
COLUMNS = {
    "acknowledged": "acknowledged",
    "recovery": "recovery after a crash",
    "fence": "fence",
    "events": "events",
    "results": "results",
    "source": "source",
}
"""Field of a system to the head of its column."""


def table(systems: Iterable[System]) -> str:
    """One row a system, in the order of TITLES. Raises ValueError for a system that says nothing about a column."""
    by_name = {each.name: each for each in systems}
    unknown = sorted(by_name.keys() - TITLES.keys())
    if unknown:
        raise ValueError(f"no title and no place in the table for {', '.join(unknown)}")
    lines = [_row("system", *COLUMNS.values()), "|---" * (len(COLUMNS) + 1) + "|"]
    for name, title in TITLES.items():
        if name in by_name:
            lines.append(_row(title, *(_cell(by_name[name], field) for field in COLUMNS)))
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(system: System, field: str) -> str:
    said = str(getattr(system, field)).strip()
    if not said:
        raise ValueError(f"{system.name} does not say anything about {field!r}")
    if field == "source":
        return f"[its documentation]({said})" if said.startswith("https://") else f"`{said}`"
    return said.replace("|", r"\|")
