"""JSON bodies: what is wrong with the fields that a request has, and the values of the others."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from actors.media.spec import pointer_to
from gateway.http.fields import Field, fields_of
from gateway.http.parsing import name_of_type, read_json
from gateway.http.problems import FieldError, Problem
from gateway.http.requests import send_continue

S = TypeVar("S", bound=msgspec.Struct)


async def read_body(request: web.Request, kind: type[S], *, one_of: Sequence[str] = ()) -> S:
    """What a body asks for. Exactly one of the fields `one_of` must be there. Raises Problem.

    A body may be empty where no field is required.
    """
    await send_continue(request)
    body = await request.read()
    may_be_empty = not one_of and not any(field.required for field in fields_of(kind).values())
    asked = {} if may_be_empty and not body else read_object(body)
    errors, values = read_fields(asked, kind)
    if one_of and sum(name in asked for name in one_of) != 1:
        either = " or ".join(f"`{name}`" for name in one_of)
        errors.append(FieldError(f"Send either {either}.", pointer=f"/{one_of[0]}"))
    if errors:
        raise refused(errors)
    return kind(**values)


def read_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object in a body. Raises Problem."""
    asked = read_json(body)
    if not isinstance(asked, dict):
        raise Problem("INVALID_JSON", detail=f"The body is {name_of_type(asked)}, not a JSON object.")
    return asked


def read_fields(
    asked: Mapping[str, Any], kind: type[msgspec.Struct], *, at: str = ""
) -> tuple[list[FieldError], dict[str, Any]]:
    """All errors of an object that lies at the JSON pointer `at`, and the values of its right fields.

    Without errors the values make a `kind`.
    """
    fields = fields_of(kind)
    errors = [_missing(field, at) for field in fields.values() if field.required and field.name not in asked]
    values: dict[str, Any] = {}
    for name, value in asked.items():
        field = fields.get(name)
        if field is None:
            errors.append(_unknown(name, fields, at))
        elif field.struct is not None and isinstance(value, dict):
            wrong, inner = read_fields(value, field.struct, at=f"{at}/{name}")
            errors += wrong
            if not wrong:
                values[name] = field.struct(**inner)
        else:
            try:
                values[name] = msgspec.convert(_whole(value) if field.core is int else value, field.annotation)
            except msgspec.ValidationError:
                errors.append(
                    FieldError(
                        f"`{name}` must be {field.expected}.",
                        pointer=f"{at}/{name}",
                        suggestion=field.suggestion(value),
                    )
                )
    return errors, values


def _whole(value: Any) -> Any:
    """In JSON 20.0 is an integer, too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


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


def _missing(field: Field, at: str) -> FieldError:
    suggestion = f"Send `{field.name}`, {field.expected}."
    return FieldError(f"`{field.name}` is missing.", pointer=f"{at}/{field.name}", suggestion=suggestion)


def _unknown(name: str, fields: Mapping[str, Field], at: str) -> FieldError:
    close = get_close_matches(name.lower(), fields, n=1)
    suggestion = f"Did you mean `{close[0]}`?" if close else f"Known fields: {', '.join(fields)}."
    shown = name[:40]
    return FieldError(f"The field `{shown}` is not known.", pointer=at + pointer_to(shown), suggestion=suggestion)
