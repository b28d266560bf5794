"""The scenarios by name. One is imported when it is asked for: a module with `WHAT` and `run(context)`."""

import importlib
import importlib.util
from typing import Protocol

from bench.context import Context
from bench.findings import Finding

SCENARIOS = (
    "noop", "chain", "latency", "ceiling", "recovery", "stall", "scale", "backlog", "submit", "pipeline", "memory",
    "transitions", "convert", "streams", "api",
)  # fmt: skip
"""In the order of a whole run and of the report."""


class Scenario(Protocol):
    """What a module of this package offers."""

    WHAT: str
    """One line for a list."""

    def run(self, context: Context, /) -> Finding: ...


def names() -> tuple[str, ...]:
    """Of the scenarios that are there."""
    return tuple(name for name in SCENARIOS if importlib.util.find_spec(f"{__name__}.{name}") is not None)


def load(name: str) -> Scenario:
    """The scenario. Raises LookupError where there is none of that name."""
    if name not in names():
        raise LookupError(name)
    module: Scenario = importlib.import_module(f"{__name__}.{name}")
    return module
