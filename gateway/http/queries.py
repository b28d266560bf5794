"""The query of a request, read into the struct that declares its parameters."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway.http.fields import Field, expected, fields_of, present
from gateway.http.problems import FieldError, Problem, field_problem

LONGEST_PAGE = 200
SHOWN = 40
"""Characters of an unknown parameter's name that an answer repeats."""

PageLimit = Annotated[int, Meta(ge=1, le=LONGEST_PAGE), expected(f"a number from 1 to {LONGEST_PAGE}")]
PageCursor = Annotated[
    str | None, Meta(description="`next` of the page before; without it the page is the first."), expected("a text")
]

Q = TypeVar("Q", bound=msgspec.Struct)


class NoQuery(msgspec.Struct, frozen=True):
    """The query of a route that takes no parameters."""


def read_query(request: web.Request, kind: type[Q]) -> Q:
    """The parameters of a query. Raises Problem for one that is not known, stands twice or is not valid."""
    fields = fields_of(kind)
    values: dict[str, object] = {}
    for name, text in request.query.items():
        field = fields.get(name)
        if field is None:
            raise _unknown(name[:SHOWN], fields)
        if name in values:
            raise bad_parameter(name, f"The parameter `{name}` stands twice.", "Send it once.")
        try:
            # Only a number may be something else than its text; msgspec would read one as a time, too.
            strict = field.core not in (int, float)
            values[name] = msgspec.convert(text, present(field.annotation), strict=strict)
        except msgspec.ValidationError:
            suggestion = field.suggestion(text) or f"Use {_wanted(field)}."
            raise bad_parameter(name, f"The parameter `{name}` is not valid.", suggestion) from None
    return kind(**values)


def bad_parameter(name: str, detail: str, suggestion: str) -> Problem:
    """The problem of one wrong parameter."""
    return field_problem("INVALID_PARAMETER", FieldError(detail, parameter=name, suggestion=suggestion))


def _unknown(name: str, fields: Mapping[str, Field]) -> Problem:
    close = get_close_matches(name, fields, n=1)
    suggestion = f"Did you mean `{close[0]}`?" if close else f"Known parameters: {', '.join(fields) or 'none'}."
    return bad_parameter(name, f"The parameter `{name}` is not known.", suggestion)


def _wanted(field: Field) -> str:
    return f"one of {', '.join(field.choices)}" if field.choices else field.expected
