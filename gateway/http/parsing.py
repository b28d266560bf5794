"""JSON in a body: its value, or a problem that says what is wrong with the text."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from actors.media.spec import pointer_to
from gateway.http.problems import FieldError, Problem

_MALFORMED = "JSON is malformed: "
_TYPES = ((dict, "an object"), (list, "a list"), (str, "a text"), (bool, "true or false"), (int | float, "a number"))


class _Object(list[tuple[str, Any]]):
    """An object as it was written, with members that stand twice."""


def read_json(body: bytes) -> Any:
    """The value. Raises Problem INVALID_JSON, or INVALID_REQUEST where a member of an object stands twice.

    What a reader makes of such a member differs from one to the next, so that it is not taken as either.
    """
    try:
        value = msgspec.json.decode(body)
        twice = _twice(body)
    except UnicodeDecodeError:
        raise _invalid("it is not encoded in UTF-8") from None
    except RecursionError:
        raise _invalid("it is nested too deeply") from None
    except msgspec.ValidationError:
        raise _invalid("a number is too large") from None
    except msgspec.DecodeError as error:
        raise _invalid(_reason(body, str(error))) from None
    if twice:
        raise Problem(
            "INVALID_REQUEST",
            detail=f"`{twice[0][:60]}` stands twice in the body.",
            suggestion="Send each member of an object once.",
            errors=[FieldError("It stands twice.", pointer=each, suggestion="Send it once.") for each in twice],
        )
    return value


def name_of_type(value: Any) -> str:
    """What a JSON value is, in words."""
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")


def _invalid(reason: str) -> Problem:
    return Problem("INVALID_JSON", detail=f"The body is not valid JSON: {reason}.")


def _reason(body: bytes, said: str) -> str:
    if not body.strip():
        return "it is empty"
    return said.removeprefix(_MALFORMED) if said.startswith(_MALFORMED) else "it ends too early"


def _twice(body: bytes) -> list[str]:
    """JSON pointers of the members that stand twice. The body is known to be valid JSON."""
    found = False

    def read(members: list[tuple[str, Any]]) -> _Object:
        nonlocal found
        found = found or len({name for name, _ in members}) < len(members)
        return _Object(members)

    value = json.loads(body, object_pairs_hook=read, parse_int=str, parse_float=str)
    return list(dict.fromkeys(_pointers(value, ""))) if found else []


def _pointers(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, _Object):
        seen: set[str] = set()
        for name, member in value:
            pointer = at + pointer_to(name)
            if name in seen:
                yield pointer
            seen.add(name)
            yield from _pointers(member, pointer)
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _pointers(member, f"{at}/{number}")
