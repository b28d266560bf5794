"""Every mutation removes something that is there, is a program still, and is told in docs/guarantees.md."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest
import redis

from actors.kernel.scripts import LUA
from tests.conftest import RedisServer
from tests.faults.mutations.catalogue import AREAS, BY_NAME, MUTATIONS
from tests.faults.mutations.checkout import ROOT
from tests.faults.mutations.guards.places import vector
from tests.faults.mutations.mutation import Mutation, WrongText
from tests.faults.mutations.table import row, rows_of
from tests.faults.mutations.verdict import Verdict
from tests.kernel.test_vectors import CASES

PAGE = ROOT / "docs" / "guarantees.md"


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    assert len(MUTATIONS) == len(BY_NAME) >= 30
    assert len([mutation for mutation in MUTATIONS if mutation.native]) >= 3
    assert all(AREAS.values())


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_its_text_is_there_exactly_once(mutation: Mutation) -> None:
    mutated = mutation.mutated(ROOT)
    if mutation.file.endswith(".py"):
        ast.parse(mutated)
    assert mutation.tests


def test_a_text_that_is_gone_is_refused() -> None:
    gone = Mutation(name="x", guard="x", file="README.md", old="text that is not there", new="", tests=())
    with pytest.raises(WrongText, match="0 times"):
        gone.mutated(ROOT)


def test_every_mutated_script_compiles(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        for mutation in MUTATIONS:
            if mutation.file.endswith(".lua"):
                for text in _assembled(mutation):
                    client.script_load(text)


def _assembled(mutation: Mutation) -> Iterator[str]:
    """The texts of the verbs that the mutation changes, as `actors.kernel.scripts` puts them together."""
    changed, mutated = ROOT / mutation.file, mutation.mutated(ROOT)
    parts = sorted((LUA / "parts").glob("*.lua"))
    head = "".join(mutated if path == changed else path.read_text() for path in parts)
    for path in sorted(LUA.glob("*.lua")) if changed in parts else [changed]:
        yield head + (mutated if path == changed else path.read_text())


def test_every_test_that_is_named_exists() -> None:
    vectors = {vector(str(case.id)) for case in CASES}
    for mutation in MUTATIONS:
        for test in mutation.tests:
            path, *names = test.partition("[")[0].split("::")
            assert names[-1] in _functions(path), f"{mutation.name}: {test}"
            assert test in vectors or not test.startswith(vector("")[:-2]), f"{mutation.name}: {test}"


@cache
def _functions(path: str) -> frozenset[str]:
    source = (ROOT / path).read_text("utf-8")
    if path.endswith(".rs"):
        return frozenset(re.findall(r"#\[test\]\s+fn (\w+)", source))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(ast.parse(source)) if isinstance(node, kinds))


def test_every_mutation_has_its_row_and_every_row_its_mutation() -> None:
    rows = rows_of(PAGE.read_text("utf-8"))
    assert list(rows) == [mutation.name for mutation in MUTATIONS]
    for name, found in rows.items():
        mutation = BY_NAME[name]
        expected = {row(Verdict(mutation, (test,), 0.0)) for test in mutation.tests}
        assert found in expected, "run: python -m tests.faults.mutations --record " + name
