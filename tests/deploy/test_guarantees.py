"""The page of guarantees names tests that exist, and every one of the cases."""

import re

from tests.deploy.named_tests import NAMED, ROOT, functions_of, missing_of

PAGE = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
CASES = 39


def _rows() -> dict[int, str]:
    """Number of a case to its row."""
    part = PAGE.partition("## The 39 cases")[2].partition("\n## ")[0]
    return {int(number): row for number, row in re.findall(r"^\| (\d+) \| (.*)$", part, re.MULTILINE)}


def test_every_named_test_exists() -> None:
    assert missing_of(PAGE) == []


def test_every_case_is_told_with_a_test() -> None:
    rows = _rows()
    assert list(rows) == list(range(1, CASES + 1))
    assert [number for number, row in rows.items() if not NAMED.search(row)] == []


def test_every_test_that_is_named_after_a_case_is_told_with_it() -> None:
    rows = _rows()
    untold = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        relative = path.relative_to(ROOT).as_posix()
        for name in sorted(functions_of(relative)):
            case = re.match(r"test_case_(\d\d)_", name)
            if case and f"`{relative}::{name}`" not in rows[int(case[1])]:
                untold.append(f"{relative}::{name}")
    assert untold == []


def test_every_promise_is_told_with_a_test() -> None:
    rows = dict(re.findall(r"^\| (P\d) \| (.*)$", PAGE, re.MULTILINE))
    assert list(rows) == [f"P{number}" for number in range(1, 8)]
    assert [promise for promise, row in rows.items() if not NAMED.search(row)] == []


def test_whatever_dies_is_told_with_a_test() -> None:
    part = PAGE.partition("## When something dies")[2].partition("## The 39 cases")[0]
    rows = [row for row in part.splitlines() if row.startswith("| ") and not row.startswith("| what")]
    assert len(rows) > 20
    assert [row for row in rows if not NAMED.search(row)] == []
