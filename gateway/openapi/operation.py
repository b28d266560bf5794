"""What a route says of itself. The types in it are those that check requests and render answers."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the path or a header. Its `type` carries description and examples (`msgspec.Meta`)."""

    name: str
    where: Literal["path", "header"]
    type: Any


def header(name: str, description: str, *, example: str, type: Any = str) -> Parameter:  # noqa: A002 - as the field
    """A header of a request or of an answer."""
    return Parameter(name, "header", Annotated[type, Meta(description=description, examples=[example])])


def part(name: str, description: str, *, example: str) -> Parameter:
    """A part of the path."""
    return Parameter(name, "path", Annotated[str, Meta(description=description, examples=[example])])


@dataclass(frozen=True, slots=True)
class Content:
    """A body in one media type; `type` None: bytes. `examples` are values of that type by a few words each.

    `events` are the types of a stream's events by their names.
    """

    type: Any
    media_type: str = JSON
    examples: dict[str, object] = field(default_factory=dict)
    events: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request."""

    content: Content
    required: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that is no problem."""

    status: int
    description: str
    contents: tuple[Content, ...] = ()
    headers: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of the interface.

    `problems` are codes of `gateway.http.problems.KINDS`, without those of every request. `refusals` are codes of
    actors/media/errors.toml for which a field of the body is refused, with 422.
    """

    name: str
    """Its operationId: stable, since generated clients name their functions after it."""
    tag: str
    summary: str
    description: str = ""
    path: tuple[Parameter, ...] = ()
    query: type[msgspec.Struct] | None = None
    headers: tuple[Parameter, ...] = ()
    body: Body | None = None
    answers: tuple[Answer, ...]
    problems: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What client and server say on a connection after its upgrade: types by their `op`."""
    within: tuple[str, ...] = ()
    """Codes of errors within a connection that has begun, of which HTTP says nothing any more."""
    key: Literal["needed", "later", "none"] = "needed"
    """later: in a message, where a client cannot send headers."""
