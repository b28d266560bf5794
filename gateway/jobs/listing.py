"""What a listing of jobs asks for, and the link to its next page."""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import msgspec

from actors.kernel import JobView, State
from actors.media.spec import MOST_TAG_CHARACTERS
from gateway.http.requests import bad_parameter, limit_of
from gateway.streams.tags import tags_in

PAGE, LONGEST_PAGE = 50, 200
PARAMETERS = ("state", "tag", "parent", "limit", "cursor")


class Listing(msgspec.Struct, frozen=True):
    """One page that is asked for."""

    limit: int
    state: State | None = None
    tag: str | None = None
    parent: str | None = None
    """A batch, whose jobs are listed instead of the tenant's."""
    cursor: str | None = None

    @property
    def wanted(self) -> Callable[[JobView], bool]:
        """Whether a job belongs into the listing."""
        return lambda view: (
            view.listed
            and (self.state is None or view.state == self.state)
            and (self.tag is None or self.tag in tags_in(view.spec))
        )


def read_listing(query: Mapping[str, str]) -> Listing:
    """The listing that a query asks for. Raises Problem."""
    tag = query.get("tag")
    if tag is not None and not 0 < len(tag) <= MOST_TAG_CHARACTERS:
        raise bad_parameter("tag", "No job has such a tag.", f"A tag has 1 to {MOST_TAG_CHARACTERS} characters.")
    return Listing(
        limit=limit_of(query, default=PAGE, most=LONGEST_PAGE),
        state=_state(query.get("state")),
        tag=tag,
        parent=query.get("parent"),
        cursor=query.get("cursor"),
    )


def next_link(query: Mapping[str, str], following: str | None) -> dict[str, str]:
    """The Link header (RFC 8288) to the next page; empty on the last one."""
    if following is None:
        return {}
    return {"Link": f'</v1/jobs?{urlencode({**query, "cursor": following})}>; rel="next"'}


def _state(text: str | None) -> State | None:
    if text is None:
        return None
    try:
        return State(text)
    except ValueError:
        raise bad_parameter("state", f"There is no state `{text[:40]}`.", f"Use one of {', '.join(State)}.") from None
