"""docs/api.md names every route and every problem. `python -m tests.gateway.test_api_page` renews its table."""

import re
from pathlib import Path

from gateway.http.application import ROUTES
from gateway.http.problems import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
START, END = "<!-- problems -->\n", "<!-- /problems -->"


def with_table(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(START)
    rows = [
        f"| `{code}` | {kind.status} | {kind.detail} | {kind.suggestion} |"
        for code, kind in sorted(KINDS.items(), key=lambda item: (item[1].status, item[0]))
    ]
    head = ["| code | status | what | what to do |", "|---|---|---|---|"]
    return before + START + "\n".join([*head, *rows]) + "\n" + END + rest.partition(END)[2]


def test_every_problem_is_explained() -> None:
    page = PAGE.read_text("utf-8")
    assert page == with_table(page), "run: python -m tests.gateway.test_api_page"


def test_every_route_is_listed() -> None:
    page = re.sub(r"\{(id|name|stage|tenant)\}", "{}", PAGE.read_text("utf-8"))
    for route in ROUTES:
        path = re.sub(r"\{\w+\}", "{}", route.path)
        assert f"{path}`" in page or f"{path}?" in page, route.path
        assert f"`{route.method}" in page, route.method


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
