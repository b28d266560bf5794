"""Tests that a page of the documentation names, and whether they are there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`((?:tests|native)/[\w/-]+\.(?:py|rs))::(\w+)`")


@cache
def functions_of(path: str) -> frozenset[str]:
    """The tests of a file, read and not imported."""
    source = (ROOT / path).read_text("utf-8")
    if path.endswith(".rs"):
        return frozenset(re.findall(r"#\[test\]\s+fn (\w+)", source))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = (node.name for node in ast.parse(source).body if isinstance(node, kinds))
    return frozenset(name for name in names if name.startswith("test_"))


def missing_of(page: str) -> list[str]:
    """What a page names that is not there."""
    return [f"{path}::{name}" for path, name in NAMED.findall(page) if name not in functions_of(path)]
