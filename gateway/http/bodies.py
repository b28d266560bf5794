"""JSON bodies: the fields a request may have, and what is wrong with those it has."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec

from gateway.http.parsing import name_of_type, read_json
from gateway.http.problems import FieldError, Problem


class Field(NamedTuple):
    """What one field must be: its type, the same in words, and how its value is read further."""

    type: Any
    expected: str
    read: Callable[[Any], Any] | None = None
    """Raises ValueError for what is not as expected."""


def read_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object in a body. Raises Problem."""
    asked = read_json(body)
    if not isinstance(asked, dict):
        raise Problem("INVALID_JSON", detail=f"The body is {name_of_type(asked)}, not a JSON object.")
    return asked


def read_fields(
    asked: Mapping[str, Any], fields: Mapping[str, Field], *, required: Sequence[str] = (), at: str = ""
) -> tuple[list[FieldError], dict[str, Any]]:
    """The errors and the values of an object that lies at the JSON pointer `at`."""
    errors = [_missing(name, fields, at) for name in required if name not in asked]
    values: dict[str, Any] = {}
    for name, value in asked.items():
        if name not in fields:
            errors.append(_unknown(name, fields, at))
            continue
        field = fields[name]
        try:
            typed = msgspec.convert(value, field.type)
            values[name] = typed if field.read is None or typed is None else field.read(typed)
        except (msgspec.ValidationError, ValueError):
            errors.append(FieldError(f"`{name}` must be {field.expected}.", pointer=f"{at}/{name}"))
    return errors, values


def refused(errors: Sequence[FieldError]) -> Problem:
    """The problem of a request whose body has these errors."""
    first = errors[0]
    return Problem(
        first.code or "INVALID_REQUEST",
        status=422,
        title="Invalid request",
        detail=first.detail,
        suggestion=first.suggestion,
        errors=errors,
    )


def _missing(name: str, fields: Mapping[str, Field], at: str) -> FieldError:
    suggestion = f"Send `{name}`, {fields[name].expected}."
    return FieldError(f"`{name}` is missing.", pointer=f"{at}/{name}", suggestion=suggestion)


def _unknown(name: str, fields: Mapping[str, Field], at: str) -> FieldError:
    close = get_close_matches(name.lower(), fields, n=1)
    suggestion = f"Did you mean `{close[0]}`?" if close else f"Known fields: {', '.join(fields)}."
    shown = name[:40]
    pointer = f"{at}/{shown.replace('~', '~0').replace('/', '~1')}"
    return FieldError(f"The field `{shown}` is not known.", pointer=pointer, suggestion=suggestion)
