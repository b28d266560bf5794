"""The pages say what the code says: states, keys, metrics, and links that lead somewhere."""

import re
from pathlib import Path

import pytest

from actors.kernel import Partitions
from actors.kernel.states import MOVES, TERMINAL

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "bench" / "README.md"]


def test_the_drawn_moves_are_the_legal_moves() -> None:
    page = (DOCS / "states.md").read_text("utf-8")
    arrows = re.findall(r"^    (\w+) --> (\w+): ([\w, ]+)$", page, re.MULTILINE)
    drawn = {(before, after, verb) for before, after, verbs in arrows for verb in verbs.split(", ")}
    legal = {
        (str(before), str(after), verb)
        for verb, moves in MOVES.items()
        for before, afters in moves.items()
        for after in afters
    }
    assert drawn == legal


def test_the_drawn_ends_are_the_terminal_states() -> None:
    page = (DOCS / "states.md").read_text("utf-8")
    assert set(re.findall(r"^    (\w+) --> \[\*\]$", page, re.MULTILINE)) == {str(state) for state in TERMINAL}


def test_every_key_is_explained() -> None:
    page = (DOCS / "operations.md").read_text("utf-8")
    explained = set(re.findall(r"^\| `([a-z]+)[:`]", page.partition("### Keys")[2].partition("\n##")[0], re.MULTILINE))
    keys = Partitions(1).keys("00")
    named = {key.removeprefix(keys.root) for key in keys.declared}
    named |= {keys.taken("").removeprefix(keys.root)[:-1], keys.idempotency("", "").removeprefix(keys.root)[:-2], "in"}
    for script in (ROOT / "actors" / "kernel" / "lua").glob("**/*.lua"):
        named |= set(re.findall(r"ROOT \.\. '([a-z]+)", script.read_text("utf-8")))
    assert explained == named


def test_every_metric_is_explained() -> None:
    page = (DOCS / "operations.md").read_text("utf-8").partition("## Metrics")[2]
    explained = set(re.findall(r"`(reelway_[a-z_]+)`", page))
    sources = [*(ROOT / "actors").rglob("*.py"), *(ROOT / "gateway").rglob("*.py")]
    registered = {
        name
        for source in sources
        for name in re.findall(r"(?:Counter|Gauge|Histogram)\(\s*\"(reelway_[a-z_]+)\"", source.read_text("utf-8"))
    }
    assert explained == registered


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


def test_the_checks_type_what_the_readme_says() -> None:
    readme, checks = (ROOT / "README.md").read_text("utf-8"), (ROOT / ".ci" / "run").read_text("utf-8")
    for command in (
        "python3 -m pip install --quiet --upgrade --target .uv uv",
        ".uv/bin/uv run reelway demo",
        ".uv/bin/uv run --extra test pytest",
    ):
        assert command in readme
        assert command in checks


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    assert [page.name for page in DOCS.glob("*.md") if page.name != "README.md" and f"({page.name})" not in index] == []
