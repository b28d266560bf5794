"""What a WebSocket client may say, and the codes a connection closes with. Pure. What it is told is in `replies`."""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from actors.media.spec import MOST_TAG_CHARACTERS
from gateway.streams.documents import EventId

MOST_MESSAGE_BYTES = 16 * 1024
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
Name = Annotated[
    str,
    Meta(
        description="The client's name for the subscription.",
        examples=["a"],
        extra_json_schema={"pattern": f"^{_ID.pattern}$"},
    ),
]
Topic = Annotated[str, Meta(description="`job:<id>`, `tag:<tag>` or `jobs`.", examples=["jobs"])]
Since = Annotated[EventId, Meta(description="The id of the last event that was seen.")]


class Close(IntEnum):
    """Below 4500 a client shall come back after `retry_ms`; from there on it has to change something first."""

    LIFETIME = 4000
    DRAINING = 4001
    OVERLOADED = 4002
    UNAVAILABLE = 4003
    UNINTELLIGIBLE = 4500
    UNAUTHENTICATED = 4501
    LIMIT = 4504

    @property
    def final(self) -> bool:
        return self >= Close.UNINTELLIGIBLE


class Auth(msgspec.Struct, frozen=True, tag_field="op", tag="auth"):
    """The API key of a client that could not send it as a header."""

    token: str


class Subscribe(msgspec.Struct, frozen=True, tag_field="op", tag="sub"):
    """Follow `topic`; with `since`, from there on."""

    id: Name
    topic: Topic
    since: Since | None = None


class Resume(msgspec.Struct, frozen=True, tag_field="op", tag="resume"):
    """The same after a connection was lost: continue after `since`."""

    id: Name
    topic: Topic
    since: Since


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="op", tag="unsub"):
    """Follow it no longer."""

    id: Name


class Ping(msgspec.Struct, frozen=True, tag_field="op", tag="ping"):
    """Answered with `pong`."""


class Pong(msgspec.Struct, frozen=True, tag_field="op", tag="pong"):
    """An answer to `ping`; anything else that a client sends is as good a sign of life."""


Said = Auth | Subscribe | Resume | Unsubscribe | Ping | Pong
_said: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


@dataclass(frozen=True, slots=True)
class JobTopic:
    """One job."""

    job: str


@dataclass(frozen=True, slots=True)
class TenantTopic:
    """All jobs of the tenant, or those that carry a tag."""

    tag: str | None


def read_message(text: str) -> Said:
    """What a client said. Raises ValueError with words for the client."""
    try:
        said = _said.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if isinstance(said, Subscribe | Resume | Unsubscribe) and not _ID.fullmatch(said.id):
        raise ValueError("`id` has 1 to 64 letters, digits, dots, dashes, colons or underscores.")
    return said


def read_topic(text: str) -> JobTopic | TenantTopic:
    """The topic of a subscription. Raises ValueError with words for the client."""
    kind, colon, name = text.partition(":")
    if text == "jobs":
        return TenantTopic(None)
    if colon and kind == "tag" and 0 < len(name) <= MOST_TAG_CHARACTERS:
        return TenantTopic(name)
    if colon and kind == "job" and name:
        return JobTopic(name)
    raise ValueError("A topic is `job:<id>`, `tag:<tag>` or `jobs`.")
