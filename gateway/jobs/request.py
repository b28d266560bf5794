"""What a client may send about jobs: the body of `POST /v1/jobs`, and the query of the listing."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from actors.kernel.keys import Priority
from actors.kernel.states import State
from actors.media.formats import FORMATS
from actors.media.spec import (
    MOST_METADATA,
    MOST_METADATA_CHARACTERS,
    MOST_METADATA_KEY_CHARACTERS,
    MOST_NAME_CHARACTERS,
    MOST_SOURCE_CHARACTERS,
    MOST_SOURCES,
    MOST_TAG_CHARACTERS,
    MOST_TAGS,
)
from actors.media.task import OnChildFailure
from gateway.http.fields import AskedTime, expected
from gateway.http.queries import PageCursor, PageLimit

LONGEST_LIFE_S = 30 * 86_400.0
SHORTEST_LIFE_S = 1.0
PAGE = 50

Life = Annotated[
    float,
    Meta(ge=SHORTEST_LIFE_S, le=LONGEST_LIFE_S),
    expected(f"a number of seconds from {SHORTEST_LIFE_S:.0f} to {LONGEST_LIFE_S:.0f}"),
]
"""Seconds from the start of a job to its deadline."""
Delay = Annotated[
    float, Meta(ge=0.0, le=LONGEST_LIFE_S), expected(f"a number of seconds from 0 to {LONGEST_LIFE_S:.0f}")
]
# `check_spec` refuses what these say beyond their type, with codes and words of its own.
Source = Annotated[str, Meta(extra_json_schema={"maxLength": MOST_SOURCE_CHARACTERS})]
Sources = Annotated[tuple[Source, ...], Meta(extra_json_schema={"minItems": 1, "maxItems": MOST_SOURCES})]
Tag = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MOST_TAG_CHARACTERS})]
MetadataValue = Annotated[str, Meta(extra_json_schema={"maxLength": MOST_METADATA_CHARACTERS})]


AskedTag = Annotated[
    Annotated[str, Meta(min_length=1, max_length=MOST_TAG_CHARACTERS)] | None,
    Meta(description="Only of jobs that carry this tag.", examples=["talks"]),
    expected(f"a tag, which has 1 to {MOST_TAG_CHARACTERS} characters"),
]
"""A tag in a query."""


class JobRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a client asks for."""

    source: Annotated[
        Source | Sources,
        Meta(
            description="An http(s) address, or `upload:<id>`; a list makes a batch, with a job for each of them.",
            examples=["https://media.example/talk.mp4", "upload:u00-01k9zq5w8r3v6t2yhx4n7m0pbc"],
        ),
        expected(f"a text, or a list of 1 to {MOST_SOURCES} texts"),
    ]
    format: Annotated[
        str,
        Meta(description="What to make of it.", examples=["mp3"], extra_json_schema={"enum": list(FORMATS)}),
        expected("a text"),
    ]
    quality: Annotated[
        str | None,
        Meta(
            description="A bit rate such as `192k` for mp3, m4a and opus, the picture's shortest side such as `720p` "
            "for mp4 and webm; without it the format's default.",
            examples=["192k"],
        ),
        expected("a text or null"),
    ] = None
    name: Annotated[
        Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MOST_NAME_CHARACTERS})] | None,
        Meta(description="What people call the result; without it the source's own name.", examples=["My talk"]),
        expected("a text or null"),
    ] = None
    tags: Annotated[
        tuple[Tag, ...],
        Meta(description="Words of the client's own.", examples=[["talks"]], extra_json_schema={"maxItems": MOST_TAGS}),
        expected("a list of texts"),
    ] = ()
    metadata: Annotated[
        dict[str, MetadataValue],
        Meta(
            description="Texts of the client's own, given back with the job.",
            examples=[{"order": "4711"}],
            extra_json_schema={
                "maxProperties": MOST_METADATA,
                "propertyNames": {"minLength": 1, "maxLength": MOST_METADATA_KEY_CHARACTERS},
            },
        ),
        expected("an object of texts"),
    ] = {}
    cache: Annotated[Literal["use", "bypass"], Meta(description="Whether a result that was made before will do.")] = (
        "use"
    )
    on_child_failure: Annotated[
        OnChildFailure,
        Meta(description="Of a batch: whether the first of its jobs that fails ends them all (`fail`)."),
    ] = "go_on"
    priority: Annotated[Priority, Meta(description="Which of the waiting jobs a worker takes more often.")] = "normal"
    deadline_s: Annotated[
        Life | None, Meta(description="How long after its start the job expires; default `kernel.deadline_s`.")
    ] = None
    start_at: Annotated[
        AskedTime | None,
        Meta(description="When to start, at most 30 days ahead; a time that has passed is now. Not with `delay_s`."),
    ] = None
    delay_s: Annotated[Delay | None, Meta(description="How many seconds from now to start.")] = None


_BOTH_STARTS = {
    "required": ["start_at", "delay_s"],
    "properties": {"start_at": {"type": "string"}, "delay_s": {"type": "number"}},
}
_NO_BATCH = {"required": ["on_child_failure"], "properties": {"source": {"type": "string"}}}
JobBody = Annotated[JobRequest, Meta(extra_json_schema={"allOf": [{"not": _BOTH_STARTS}, {"not": _NO_BATCH}]})]
"""A job starts at a time or after a while, and only a batch has children."""


class JobsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query of the listing."""

    state: Annotated[State | None, Meta(description="Only jobs in this state.")] = None
    tag: AskedTag = None
    parent: Annotated[
        str | None, Meta(description="The jobs of this batch, in their order."), expected("the id of a batch")
    ] = None
    limit: Annotated[PageLimit, Meta(description="The most jobs of a page.")] = PAGE
    cursor: PageCursor = None
