"""Reading one sorted set of every partition as if it were one, newest first.

The scores are server times in milliseconds. Rows come and go while a listing is read, so a page is asked for by the row
it begins behind and never by an offset: what leaves the set shifts nothing, and what comes in is newer.
"""

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

import redis.asyncio

from actors.kernel.scripts import text

PAGE = 50


class Place(NamedTuple):
    """A row of a listing; later rows compare as smaller. As text, a cursor."""

    at_ms: int
    member: str

    @classmethod
    def parse(cls, cursor: str) -> "Place":
        """Raises ValueError for what is no cursor."""
        at_ms, dash, member = cursor.partition("-")
        if not (dash and member and at_ms.isascii() and at_ms.isdecimal()):
            message = f"not a cursor: {cursor!r}"
            raise ValueError(message)
        return cls(int(at_ms), member)

    def __str__(self) -> str:
        return f"{self.at_ms}-{self.member}"


async def newest_first(
    client: redis.asyncio.Redis,
    sets: Sequence[str],
    *,
    before: Place | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> AsyncGenerator[Place]:
    """The rows of all `sets` behind `before`, newest first, with since_ms <= at_ms <= until_ms.

    Every row that is there from the first step to the last comes exactly once. Errors of the connection pass.
    """
    readers = [_Reader(client, name, before, since_ms, until_ms) for name in sets]
    for reader in readers:
        await reader.fill()
    while True:
        newest = max((reader for reader in readers if reader.rows), key=lambda reader: reader.rows[0], default=None)
        if newest is None:
            return
        yield newest.rows.popleft()
        await newest.fill()


class _Reader:
    """One set, read page by page behind the last row of the page before."""

    def __init__(
        self, client: redis.asyncio.Redis, name: str, before: Place | None, since_ms: int | None, until_ms: int | None
    ) -> None:
        self._client = client
        self._name = name
        self._behind = before
        self._lowest: int | str = "-inf" if since_ms is None else since_ms
        highest = [place for place in (None if before is None else before.at_ms, until_ms) if place is not None]
        self._highest: int | str = min(highest, default="+inf")
        self._ended = False
        self.rows: deque[Place] = deque()

    async def fill(self) -> None:
        """Leaves `rows` empty only when the set has no more."""
        count = PAGE
        while not self.rows and not self._ended:
            page: list[tuple[bytes, int]] = await self._client.zrevrangebyscore(  # type: ignore[assignment]
                self._name, self._highest, self._lowest, start=0, num=count, withscores=True, score_cast_func=int
            )
            rows = [Place(at_ms, text(member)) for member, at_ms in page]
            self.rows.extend(row for row in rows if self._behind is None or row < self._behind)
            self._ended = len(rows) < count
            # A page of nothing but rows of one millisecond that were given before: look further into it.
            count *= 2
        if self.rows:
            self._behind = self.rows[-1]
            self._highest = self._behind.at_ms
