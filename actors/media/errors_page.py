"""Writes docs/errors.md from the error table: `python -m actors.media.errors_page`."""

from pathlib import Path

from actors.media.errors import ErrorTable, Rule, error_table

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
"""The page in a checkout; an installed package has none."""

_HEAD = """# Errors

Written from `actors/media/errors.toml` by `python -m actors.media.errors_page`. The codes are stable: a client may
decide by them. `message` and `suggestion` of an answer may be more exact than the texts here.

- **permanent**: the job fails at once.
- **transient**, **stalled**: the stage is tried again after a growing pause, until its budget of errors is spent.
- **throttled**: the job waits as long as the other side asks for; it shows the code as its reason.
- **cancelled**: somebody asked for it.

The pause doubles from attempt to attempt; half of it is drawn at random. A longer `Retry-After` wins. Waiting spends no
budget and counts as no attempt; the pause of `DISK_FULL` grows with the time for which the disk has been full.

| code | class | pause | budget | what happened | what to do |
|---|---|---|---|---|---|
"""


def render(table: ErrorTable) -> str:
    """The page's text."""
    return _HEAD + "".join(_row(rule) for rule in table)


def _row(rule: Rule) -> str:
    repeats = rule.cls in ("transient", "throttled", "stalled")
    pause = f"{rule.base_s:g} s to {rule.cap_s:g} s" if repeats else ""
    budget = (
        "" if rule.cls not in ("transient", "stalled") else "the stage's" if rule.budget is None else str(rule.budget)
    )
    cells = (f"`{rule.code}`", rule.cls, pause, budget, rule.message, rule.suggestion)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    PAGE.write_text(render(error_table()), "utf-8")
