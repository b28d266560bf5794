"""What a handler can answer, read from its source: the codes and statuses in every function that it can reach.

A function is reached when its name stands in another that is; of a class all methods are. What the kernel's clients
raise is said in their docstrings and repeated in RAISES; `gateway.http.middleware` turns it into problems.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from gateway.http.problems import KINDS, Problem

AWAY = {"STORE_UNAVAILABLE"}
UNKNOWN = {"JOB_NOT_FOUND", "STORE_UNAVAILABLE"}
ADMITS = {"STORE_FULL", "STORE_UNAVAILABLE"}
RAISES: dict[tuple[str, str], set[str]] = {
    ("request", "read"): {"BODY_TOO_LARGE", "REQUEST_TIMEOUT"},
    ("reader", "read"): UNKNOWN,
    ("feed_reader", "page"): AWAY,
    ("feed_reader", "after"): AWAY,
    ("tenant_reader", "read"): AWAY,
    ("tags", "learn"): AWAY,
    ("submitter", "submit"): ADMITS | {"BODY_TOO_LARGE"},
    ("submitter", "cancel"): UNKNOWN,
    ("submitter", "delete"): UNKNOWN,
    ("dead", "page"): AWAY,
    ("dead", "count"): AWAY,
    ("dead", "export"): AWAY,
    ("dead", "show"): UNKNOWN,
    ("replayer", "replay"): UNKNOWN | ADMITS,
    ("replayer", "replay_page"): ADMITS,
    ("replayer", "purge"): UNKNOWN | ADMITS,
    ("replayer", "purge_page"): ADMITS,
    ("pauses", "list"): AWAY,
    ("pauses", "pause"): ADMITS,
    ("pauses", "resume"): ADMITS,
    ("keeper", "limit_of"): AWAY,
    ("keeper", "set_limit"): ADMITS,
}
PACKAGES = ("gateway.", "actors.media.")


@dataclass
class Reach:
    """What was found."""

    problems: set[str] = field(default_factory=set)
    refusals: set[str] = field(default_factory=set)
    """Codes of the error table with which a field is refused."""
    numbers: set[int] = field(default_factory=set)
    """All of them: a status may be handed on."""
    statuses: set[int] = field(default_factory=set)
    """Those that are certainly one."""


def reach(handler: Callable[..., Any]) -> Reach:
    """Everything that `handler` can answer."""
    found = Reach()
    waiting, seen = [handler], {handler}
    while waiting:
        function = waiting.pop()
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        _collect(tree, found)
        for name in _names(tree):
            for other in _functions(_resolve(function, name), found):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
    return found


def _collect(tree: ast.AST, found: Reach) -> None:
    refused = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "MediaError":
            refused |= {each for each in node.args if isinstance(each, ast.Constant)}
    found.refusals |= {str(each.value) for each in refused}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if text in KINDS and node not in refused:
                found.problems.add(text)
            case ast.Constant(value=int(number)):
                found.numbers.add(number)
            case ast.keyword(arg="status", value=value):
                found.statuses |= {each.value for each in ast.walk(value) if isinstance(each, ast.Constant)}  # type: ignore[misc]
            case ast.Name(id="persist"):
                found.problems |= AWAY
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=method):
                found.problems |= RAISES.get((owner, method), set())


def _names(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    nodes = list(ast.walk(tree))
    own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in own:
            yield (node.id,)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield (node.value.id, node.attr)


def _resolve(function: Callable[..., Any], name: tuple[str, ...]) -> object:
    first = function.__globals__.get(name[0])
    if len(name) == 1:
        return first
    return getattr(first, name[1], None) if isinstance(first, ModuleType) else None


def _functions(value: object, found: Reach) -> Iterator[Callable[..., Any]]:
    if isinstance(value, dict):
        found.problems |= {each for each in value.values() if isinstance(each, str) and each in KINDS}
    if not getattr(value, "__module__", "").startswith(PACKAGES) or value is Problem:
        return
    value = inspect.unwrap(value) if callable(value) else value
    if inspect.isfunction(value):
        yield value
    elif inspect.isclass(value):
        # Structs and dataclasses have methods without a source.
        yield from (each for each in vars(value).values() if inspect.isfunction(each) and _has_source(each))


def _has_source(function: Callable[..., Any]) -> bool:
    return function.__code__.co_filename == sys.modules[function.__module__].__file__
