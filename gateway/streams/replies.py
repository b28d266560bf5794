"""What a WebSocket client is told, as it is written and as `/openapi.json` shows it."""

from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from actors.kernel.states import State
from gateway.jobs.documents import JobId
from gateway.streams.documents import AnyEvent, JobsSnapshotEvent, ProgressEvent, SnapshotEvent
from gateway.streams.messages import Name
from gateway.times import Timestamp


def _serialised(*kinds: type[msgspec.Struct]) -> Meta:
    """One of these documents; it was written once for all who see it."""
    return Meta(extra_json_schema={"anyOf": [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in kinds]})


_SNAPSHOTS = (SnapshotEvent, JobsSnapshotEvent)


class Hello(msgspec.Struct, frozen=True, tag_field="op", tag="hello"):
    """The first message. `ping`: seconds between two signs of life, at least."""

    ping: float


class Subscribed(msgspec.Struct, frozen=True, tag_field="op", tag="sub"):
    """The subscription has begun. `recovered`: it continues behind `since`, and needs no snapshot."""

    id: Name
    topic: str
    recovered: bool
    snapshot: Annotated[msgspec.Raw, _serialised(*_SNAPSHOTS)] | None


class Delivery(msgspec.Struct, frozen=True, tag_field="op", tag="ev"):
    """An event of a subscription, with the envelope that it has in a stream of events."""

    sub: Name
    event: Annotated[msgspec.Raw, _serialised(*get_args(AnyEvent), ProgressEvent, *_SNAPSHOTS)]


class TopicEnded(msgspec.Struct, frozen=True, tag_field="op", tag="end"):
    """Nothing more will come, and the name is free again. `state` is null when the job is no longer kept."""

    sub: Name
    job: JobId
    state: State | None


class Unsubscribed(msgspec.Struct, frozen=True, tag_field="op", tag="unsub"):
    """The subscription has ended as the client asked, or there was none."""

    id: Name


class PingSent(msgspec.Struct, frozen=True, tag_field="op", tag="ping"):
    """A sign of life. Who answers neither it nor the ping of the protocol for three of them is cut off."""

    at: Timestamp


class PongSent(msgspec.Struct, frozen=True, tag_field="op", tag="pong"):
    """The answer to `ping`."""


class Refusal(msgspec.Struct, frozen=True, tag_field="op", tag="error"):
    """What was asked cannot be done; the rest goes on. `id` is null where it is about no subscription."""

    id: str | None
    code: str
    detail: str
    suggestion: str


class Bye(msgspec.Struct, frozen=True, tag_field="op", tag="bye"):
    """The last message. `retry_ms`: come back then and resume; null where something has to change first."""

    code: Annotated[int, Meta(description="That of the close frame behind it.", examples=[4001])]
    reason: str
    retry_ms: int | None


Reply = Hello | Subscribed | Delivery | TopicEnded | Unsubscribed | PingSent | PongSent | Refusal | Bye


def by_op(union: Any) -> dict[str, type[msgspec.Struct]]:
    """The messages of a union by what they say in `op`."""
    return {str(kind.__struct_config__.tag): kind for kind in get_args(union)}
