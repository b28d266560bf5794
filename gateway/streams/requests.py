"""The queries of streams and timelines."""

from typing import Annotated

import msgspec
from msgspec import Meta

from actors.media.spec import MOST_TAG_CHARACTERS
from gateway.http.fields import expected

PAGE, LONGEST_PAGE = 100, 500

After = Annotated[str | None, Meta(description="The id of the last event that is known."), expected("a text")]
Limit = Annotated[
    int,
    Meta(ge=1, le=LONGEST_PAGE, description="The most events of a page."),
    expected(f"a number from 1 to {LONGEST_PAGE}"),
]


class TimelineQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a job's timeline."""

    after: After = None
    limit: Limit = PAGE


class TagQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a tenant's stream."""

    tag: Annotated[
        Annotated[str, Meta(min_length=1, max_length=MOST_TAG_CHARACTERS)] | None,
        Meta(description="Only of jobs that carry this tag.", examples=["talks"]),
        expected(f"a tag, which has 1 to {MOST_TAG_CHARACTERS} characters"),
    ] = None


class TenantTimelineQuery(TagQuery, frozen=True, kw_only=True):
    """The query of a tenant's timeline."""

    after: After = None
    limit: Limit = PAGE
