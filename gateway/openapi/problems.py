"""How the problems of an operation are described: one answer a status, an example a code."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from actors.media.errors import error_table
from gateway.http.bodies import refused
from gateway.http.duties import duty_of
from gateway.http.middleware import UNCOUNTED
from gateway.http.problems import KINDS, MEDIA_TYPE, OF_EVERY_REQUEST, FieldError, Problem, ProblemDocument, document_of
from gateway.http.queries import bad_parameter
from gateway.http.route import Route
from gateway.openapi.operation import Operation, Parameter, header

REFUSED = 422
_REQUEST_ID = "req-3f9a1c22b07d4e51"
_RETRY_AFTER = header("Retry-After", "After how many seconds to try again.", example="15")
_HEADERS: dict[str, Parameter] = {
    "RATE_LIMITED": _RETRY_AFTER,
    "UNAUTHORIZED": header("WWW-Authenticate", "How to prove who asks.", example='Bearer realm="reelway"'),
    "UNSUPPORTED_ENCODING": header("Accept-Encoding", "What a body may be encoded with.", example="identity"),
    "RANGE_NOT_SATISFIABLE": header("Content-Range", "The size of the file.", example="bytes */14400812"),
}


def codes_of(route: Route) -> dict[int, list[str]]:
    """All codes with which a request can end, by their status."""
    operation = route.operation
    codes = {*OF_EVERY_REQUEST, *operation.problems}
    if operation.key != "none":
        codes.add("UNAUTHORIZED")
    if is_counted(route):
        codes.add("RATE_LIMITED")
    if duty_of(route.path) is not None:
        codes.add("NOT_SERVED_HERE")
    found: defaultdict[int, list[str]] = defaultdict(list)
    for code in codes:
        found[KINDS[code].status].append(code)
    found[REFUSED] += operation.refusals
    return {status: sorted(set(codes)) for status, codes in sorted(found.items()) if codes}


def is_counted(route: Route) -> bool:
    """Whether a request spends something of its key's quota."""
    return route.operation.key == "needed" and route.path not in UNCOUNTED


def every_code(operations: Iterable[Operation]) -> list[str]:
    """Every code that a problem can carry."""
    return sorted({*KINDS, *(code for operation in operations for code in operation.refusals)})


def headers_of(codes: Iterable[str]) -> list[Parameter]:
    """The headers that the problems of these codes bring along."""
    codes = list(codes)
    found = [_HEADERS[code] for code in codes if code in _HEADERS]
    if any("Retry-After" in Problem(code).headers for code in codes if code in KINDS):
        found.append(_RETRY_AFTER)
    return found


def example_name(status: int, code: str) -> str:
    """What the example of a code is called; a field may be refused with a code that is a problem elsewhere."""
    return code if code in KINDS and KINDS[code].status == status else f"{code}.field"


def example_of(status: int, code: str) -> dict[str, Any]:
    """The problem as a client reads it."""
    document: ProblemDocument = document_of(_problem(status, code), _REQUEST_ID)
    return {"summary": meaning_of(status, code), "value": msgspec.to_builtins(document)}


def meaning_of(status: int, code: str) -> str:
    """One sentence: what has happened."""
    return _problem(status, code).detail if example_name(status, code) != code else KINDS[code].detail


def content_of(codes: list[str], names: list[str]) -> dict[str, Any]:
    """The content of an answer that is a problem with one of these codes."""
    schema = {"$ref": "#/components/schemas/Problem", "properties": {"code": {"enum": codes}}}
    examples = {name: {"$ref": f"#/components/examples/{name}"} for name in names}
    return {MEDIA_TYPE: {"schema": schema, "examples": examples}}


def _problem(status: int, code: str) -> Problem:
    if example_name(status, code) != code:
        rule = error_table().rule(code)
        return refused([FieldError(rule.message, pointer=_POINTERS[code], code=code, suggestion=rule.suggestion)])
    if code == "INVALID_PARAMETER":
        return bad_parameter("limit", "The parameter `limit` is not valid.", "Use a number from 1 to 200.")
    if code == "INVALID_REQUEST":
        error = "The field `fromat` is not known."
        return refused([FieldError(error, pointer="/fromat", suggestion="Did you mean `format`?")])
    return Problem(code)


_POINTERS = defaultdict(
    lambda: "/source", {"FORMAT_UNKNOWN": "/format", "QUALITY_INVALID": "/quality", "INVALID_OPTION": "/tags"}
)
