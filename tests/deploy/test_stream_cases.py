"""The page of what goes wrong with streams names tests that exist, and every one of the cases."""

import re

from tests.deploy.named_tests import NAMED, ROOT, missing_of

PAGE = (ROOT / "docs" / "stream-cases.md").read_text("utf-8")
CASES = [*range(1, 25), 34, 35]


def test_every_named_test_exists() -> None:
    assert missing_of(PAGE) == []


def test_every_case_is_told_with_a_test() -> None:
    rows = {int(number): row for number, row in re.findall(r"^\| (\d+) \| (.*)$", PAGE, re.MULTILINE)}
    assert list(rows) == CASES
    assert [number for number, row in rows.items() if not NAMED.search(row)] == []
