"""Where guards and the tests that notice them are."""

LUA = "actors/kernel/lua"
PARTS = f"{LUA}/parts"
KERNEL = "tests/kernel"
CASES = "tests/kernel/cases"


def vector(case: str) -> str:
    """The test of one conformance case, `<file>: <title>`."""
    return f"{KERNEL}/test_vectors.py::test_conformance[{case}]"
