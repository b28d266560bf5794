"""Which dead letters a request means, said in its query or in its body."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from actors.kernel.dead_letter import WHYS, DeadFilter
from gateway.admin.stages import STAGES
from gateway.http.bodies import Field, read_fields
from gateway.http.problems import FieldError
from gateway.http.requests import bad_parameter
from gateway.times import read_timestamp

_TIME = "a time such as 2026-01-31T12:00:00Z"
MOST_CHARACTERS = 256


def _text(value: str) -> str:
    if not 1 <= len(value) <= MOST_CHARACTERS:
        raise ValueError(value)
    return value


def _one_of(*known: str) -> Field:
    def read(value: str) -> str:
        if value not in known:
            raise ValueError(value)
        return value

    return Field(str, f"one of {', '.join(known)}", read)


FIELDS: dict[str, Field] = {
    "stage": _one_of(*STAGES),
    "tenant": Field(str, "the name of a tenant", _text),
    "kind": Field(str, "a kind of job, for example media or delivery", _text),
    "code": Field(str, "the code of an error", _text),
    "why": _one_of(*WHYS),
    "since": Field(str, _TIME, read_timestamp),
    "until": Field(str, _TIME, read_timestamp),
}
NAMES = tuple(FIELDS)


def filter_of_query(query: Mapping[str, str]) -> DeadFilter:
    """The filter that a query names; its other parameters are left aside. Raises Problem."""
    values: dict[str, Any] = {}
    for name, field in FIELDS.items():
        if name in query:
            try:
                values[name] = query[name] if field.read is None else field.read(query[name])
            except ValueError:
                raise bad_parameter(
                    name, f"The parameter `{name}` is not valid.", _suggestion(name, query[name])
                ) from None
    return _filter(values)


def filter_of_body(asked: Mapping[str, Any], at: str) -> tuple[list[FieldError], DeadFilter]:
    """The filter in an object that lies at the JSON pointer `at`, and what is wrong with it."""
    errors, values = read_fields(asked, FIELDS, at=at)
    return errors, _filter(values)


def _filter(values: dict[str, Any]) -> DeadFilter:
    times = {f"{name}_ms": values.pop(name) for name in ("since", "until") if name in values}
    return DeadFilter(**values, **times)


def _suggestion(name: str, value: str) -> str:
    known = {"stage": STAGES, "why": WHYS}.get(name, ())
    close = get_close_matches(value.lower(), known, n=1)
    return f"Did you mean `{close[0]}`?" if close else f"Use {FIELDS[name].expected}."
