"""What a watcher has been told, across all its connections. Pure."""

import re
from collections.abc import Mapping

_IDENTITY = re.compile(r"(.*)\.(\d{1,19})-(\d{1,20})", re.DOTALL)


class Place:
    """`cursor` is what a new connection resumes from: the id of the last frame that came whole and had one."""

    def __init__(self, cursor: str | None) -> None:
        self.cursor = cursor
        self._told = cursor
        self._contained: str | None = None
        self._revs: dict[str, int] = {}

    def begin_anew(self, identity: str | None, revs: Mapping[str, int]) -> None:
        """A snapshot or resync was told: it contains what is older than `identity`, its own id.

        `revs`: one of many jobs is newer than its id, and contains of these their events up to the revision.
        """
        self._told, self._contained, self._revs = None, identity, dict(revs)

    def is_news(self, identity: str | None, job: str, rev: int) -> bool:
        """Whether the event of this id has to be told; it counts as told from now on. Progress has no id."""
        if identity is None:
            return True
        if rev <= self._revs.get(job, -1):
            return False
        if self._told is not None and (identity == self._told or _is_before(identity, self._told)):
            return False
        # Not the one with the snapshot's own id: that may be the end of a job, which is told after any snapshot.
        if self._contained is not None and _is_before(identity, self._contained):
            return False
        self._told = identity
        return True


def _is_before(identity: str, other: str) -> bool:
    """Whether it is older; False where their ids do not say."""
    mine, theirs = _IDENTITY.fullmatch(identity), _IDENTITY.fullmatch(other)
    if mine is None or theirs is None or mine[1] != theirs[1]:
        return False
    return (int(mine[2]), int(mine[3])) < (int(theirs[2]), int(theirs[3]))
