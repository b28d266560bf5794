"""Which jobs a listing shows, and the link to its next page."""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from actors.kernel import JobView
from gateway.jobs.request import JobsQuery
from gateway.jobs.tags import tags_in
from gateway.openapi.operation import header

LINK = header(
    "Link",
    "The next page (RFC 8288); not on the last one.",
    example='</v1/jobs?limit=50&cursor=1769860800250-j00-01k9zq5w8r3v6t2yhx4n7m0pbc>; rel="next"',
)


def wanted_of(query: JobsQuery) -> Callable[[JobView], bool]:
    """Whether a job belongs into the listing."""
    return lambda view: (
        view.listed
        and (query.state is None or view.state == query.state)
        and (query.tag is None or query.tag in tags_in(view.spec))
    )


def next_link(query: Mapping[str, str], following: str | None) -> dict[str, str]:
    """The Link header to the next page; empty on the last one. `query`: of this page."""
    if following is None:
        return {}
    return {LINK.name: f'</v1/jobs?{urlencode({**query, "cursor": following})}>; rel="next"'}
