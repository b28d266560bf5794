"""What a field of a body or a parameter of a query must be: read from the struct that declares it, said in words.

The structs of requests are the only source: they check what was sent, word what is wrong with it, and are what
`/openapi.json` shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

_EXPECTED = "expected"
_ABSENT = (NoneType, msgspec.UnsetType)


def expected(words: str) -> Meta:
    """Says what a field must be, as the end of the sentence "`name` must be …"."""
    return Meta(extra={_EXPECTED: words})


AskedTime = Annotated[
    datetime, Meta(tz=True, examples=["2026-01-31T12:00:00Z"]), expected("a time such as 2026-01-31T12:00:00Z")
]
"""A time in a request: RFC 3339 with its offset."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct. `core` is its type without null and annotations, `expected` that type in words."""

    name: str
    annotation: Any
    core: Any
    required: bool
    expected: str
    choices: tuple[str, ...]
    """The values of a field that takes only a few."""

    @property
    def struct(self) -> type[msgspec.Struct] | None:
        """The struct of a field that is an object of its own."""
        return self.core if isinstance(self.core, type) and issubclass(self.core, msgspec.Struct) else None

    def suggestion(self, value: object) -> str | None:
        """The choice that `value` was probably meant to be, in words; None when there is none."""
        close = get_close_matches(value.lower(), self.choices, n=1) if isinstance(value, str) else ()
        return f"Did you mean `{close[0]}`?" if close else None


@cache
def fields_of(kind: type[msgspec.Struct]) -> Mapping[str, Field]:
    """The fields of a struct by their names in JSON."""
    return {field.encode_name: _field(field) for field in msgspec.structs.fields(kind)}


def present(annotation: Any) -> Any:
    """The type of a value that is there: without null, which a query and a header cannot say."""
    if get_origin(annotation) is Annotated:
        inner, *metas = get_args(annotation)
        return Annotated[(present(inner), *metas)]
    if get_origin(annotation) in (Union, UnionType):
        return Union[tuple(member for member in get_args(annotation) if member not in _ABSENT)]  # noqa: UP007
    return annotation


def _field(field: msgspec.structs.FieldInfo) -> Field:
    core, metas = _parts(field.type)
    choices = _choices(core)
    said = [meta.extra[_EXPECTED] for meta in metas if meta.extra is not None and _EXPECTED in meta.extra]
    return Field(
        name=field.encode_name,
        annotation=field.type,
        core=core,
        required=field.required,
        expected=said[0] if said else _either([f'"{choice}"' for choice in choices]),
        choices=choices,
    )


def _parts(annotation: Any) -> tuple[Any, list[Meta]]:
    """The type without null and annotations, and the annotations from the outermost to the innermost."""
    metas: list[Meta] = []
    while True:
        annotation = present(annotation)
        if get_origin(annotation) is not Annotated:
            return annotation, metas
        annotation, *found = get_args(annotation)
        metas += [meta for meta in reversed(found) if isinstance(meta, Meta)]


def _choices(core: Any) -> tuple[str, ...]:
    if get_origin(core) is Literal:
        return tuple(str(choice) for choice in get_args(core))
    return tuple(str(choice.value) for choice in core) if isinstance(core, type) and issubclass(core, Enum) else ()


def _either(names: Sequence[str]) -> str:
    *first, last = names or ("",)
    return f"{', '.join(first)} or {last}" if first else last
