"""Writes what is derived from the settings tree: the annotated example and the table of docs/operations.md.

`python -m tests.deploy.settings_pages` writes both; test_config.py fails while either is out of date.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from actors.settings import SHORT_NAMES, Settings, StageSettings, environment_name, keys

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "config" / "reelway.example.toml"
OPERATIONS = ROOT / "docs" / "operations.md"
TABLE_START = "<!-- settings: written by tests/deploy/settings_pages.py -->"
TABLE_END = "<!-- /settings -->"

HEAD = """\
# Reelway's settings, each with its default. Name this file, or a shorter one of your own, in REELWAY_CONFIG.
# The environment wins over the file and flags win over both. `section.field` is REELWAY_SECTION_FIELD there; the names
# in brackets are the short forms. A secret can be read from a file: REELWAY_SECTION_FIELD_FILE names it.
# A key that is commented out has no fixed default. Unknown keys and values that do not fit are errors.
"""

SECTIONS = {
    "redis": "Where the jobs live. Every role needs the same address and the same number of partitions.",
    "kernel": "Leases, budgets and how long things are remembered. The same for every role of an installation.",
    "storage": "Where sources, results and uploads lie. Every role needs to reach it.",
    "media": "What is accepted as a source.",
    "ingest": "Validates a submission and plans its stages.",
    "fetch": "Brings a source to the storage.",
    "transcode": "Runs ffmpeg and verifies what it wrote.",
    "store": "Publishes verified outputs.",
    "notify": "Delivers the ends of jobs.",
    "reaper": "Ends leases of lost workers, wakes delayed jobs, deletes what has outlived its time.",
    "gateway": "The HTTP side.",
    "egress": "What fetch may connect to besides public addresses.",
    "metrics": "Prometheus metrics of processes without a gateway, whose /metrics has them already.",
    "logging": "Lines on standard error.",
    "limits": "How many sources are read at once over all workers, by platform or host. Others have no limit.",
}

EXAMPLES = {"limits": ("# youtube = 2", '# "media.example.org" = 4')}
"""Tables whose names the operator chooses."""


def description(key: str) -> str:
    """What the settings tree says about a key; a stage's own field may leave the words to StageSettings."""
    section, _, field = key.partition(".")
    hints = [keys()[key]]
    if section in {"ingest", "fetch", "transcode", "store", "notify"}:
        hints.append(get_type_hints(StageSettings, include_extras=True).get(field))
    for hint in hints:
        for extra in get_args(hint)[1:]:
            if isinstance(extra, msgspec.Meta) and extra.description:
                return extra.description
    raise LookupError(f"{key} has no description in actors/settings_tree.py")


def defaults() -> Iterator[tuple[str, Any]]:
    """Every key with its default; None where there is none that holds everywhere."""
    settings = Settings()
    for name in (field.name for field in msgspec.structs.fields(Settings)):
        section = getattr(settings, name)
        if isinstance(section, msgspec.Struct):
            yield from ((f"{name}.{field}", getattr(section, field)) for field in section.__struct_fields__)
        else:
            yield name, None


def literal(value: Any) -> str:
    """A default in TOML."""
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) else str(int(value))
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def example() -> str:
    """The text of config/reelway.example.toml."""
    short = {key: name for name, key in SHORT_NAMES.items()}
    lines = [HEAD]
    current = ""
    for key, value in defaults():
        section, _, field = key.rpartition(".")
        if key in EXAMPLES:
            lines += ["", f"# {SECTIONS[key]}", f"[{key}]", *EXAMPLES[key]]
            continue
        if section != current:
            current = section
            lines += ["", f"# {SECTIONS[section]}", f"[{section}]"]
        lines.append(f"# {description(key)}" + (f"  [{short[key]}]" if key in short else ""))
        lines.append(f'# {field} = "…"' if value is None else f"{field} = {literal(value)}")
    return "\n".join(lines) + "\n"


def table() -> str:
    """The settings table of docs/operations.md, with its markers."""
    rows = ["| key | environment | default | meaning |", "|---|---|---|---|"]
    for key, value in defaults():
        shown = "" if value is None else f"`{literal(value)}`"
        rows.append(f"| `{key}` | `{environment_name(key)}` | {shown} | {description(key)} |")
    return "\n".join([TABLE_START, *rows, TABLE_END])


def with_table(page: str) -> str:
    """The page with its settings table replaced by the current one."""
    before, start, rest = page.partition(TABLE_START)
    _, end, after = rest.partition(TABLE_END)
    if not (start and end):
        raise ValueError(f"{OPERATIONS.name} has no settings markers")
    return before + table() + after


if __name__ == "__main__":
    EXAMPLE.write_text(example(), "utf-8")
    OPERATIONS.write_text(with_table(OPERATIONS.read_text("utf-8")), "utf-8")
