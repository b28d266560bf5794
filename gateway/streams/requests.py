"""The queries of streams and timelines."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.http.fields import expected
from gateway.jobs.request import AskedTag

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

    tag: AskedTag = None


class TenantTimelineQuery(TagQuery, frozen=True, kw_only=True):
    """The query of a tenant's timeline."""

    after: After = None
    limit: Limit = PAGE
