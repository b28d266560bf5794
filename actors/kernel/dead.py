"""Dead letters: the jobs that spent their budgets, with what went wrong. Reading changes nothing.

A row of the sorted set `dead` names the job, its hash says what it was, its entry in the stream `dead:<stage>` why it
died. The row decides: a job that was replayed or forgotten meanwhile is no dead letter, whatever else is left of it.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

import msgspec
import redis.asyncio

from actors.kernel.dead_letter import FIELDS, DeadFilter, DeadLetter, Why, read_entry, read_fields, read_letter
from actors.kernel.keys import Partitions, UnknownJobId
from actors.kernel.listing import LONGEST_SCAN
from actors.kernel.newest import PAGE, Place, newest_first
from actors.kernel.states import State
from actors.kernel.views import JobView, LogEntry, read_job, read_log

MOST_COUNTED = 10_000
"""Dead letters that one `count` looks at, the newest ones."""


class DeadDetail(msgspec.Struct, frozen=True):
    """A dead letter with the job and the durable events that are left of it."""

    letter: DeadLetter
    view: JobView
    log: list[LogEntry]


class DeadGroup(msgspec.Struct, frozen=True):
    """How many dead letters have these in common."""

    stage: str
    why: Why
    code: str
    count: int


class DeadCount(msgspec.Struct, frozen=True):
    """The dead letters of a filter, counted."""

    rows: int
    """Dead letters within the filter's times and partitions, whatever else it asks for."""
    matching: int
    """Those that match, of the rows that were looked at."""
    complete: bool
    """False: there are more rows than were looked at."""
    newest_ms: int | None
    """When the newest of them died. A walk that ends there meets nothing that dies later."""
    groups: list[DeadGroup]
    """The largest first."""


class DeadLetters:
    """Pages, shows, counts and exports. Errors of the connection pass; every call may be repeated."""

    def __init__(self, client: redis.asyncio.Redis, partitions: Partitions) -> None:
        self._client = client
        self._partitions = partitions

    async def page(
        self, wanted: DeadFilter, *, before: str | None = None, limit: int = PAGE
    ) -> tuple[list[DeadLetter], str | None]:
        """One page, newest first, and the cursor of the next (None: the last one).

        `before` is a cursor of an earlier page; a malformed one raises ValueError. A page looks at no more than 2000
        rows, so with a filter it can be short and still have a cursor.
        """
        found: list[DeadLetter] = []
        place: Place | None = None
        seen = 0
        async with aclosing(self._pages(wanted, before)) as pages:
            async for rows, letters in pages:
                for row in rows:
                    letter = letters.get(row.member)
                    if letter is not None and wanted.matches(letter):
                        if len(found) == limit:
                            return found, str(place)
                        found.append(letter)
                    place = row
                seen += len(rows)
                if seen >= LONGEST_SCAN:
                    return found, str(place)
        return found, None

    async def find(self, job: str) -> DeadLetter | None:
        """The dead letter of a job; None when it is not dead. Raises UnknownJobId."""
        keys = self._partitions.keys_of_job(job)
        score = await self._client.zscore(keys.dead, job)
        if score is None:
            return None
        return (await self._letters([Place(int(score), job)])).get(job)

    async def show(self, job: str) -> DeadDetail | None:
        """All that is kept of a dead job; None when it is not dead. Raises UnknownJobId."""
        letter = await self.find(job)
        return None if letter is None else await self._detail(letter)

    async def export(self, wanted: DeadFilter) -> AsyncGenerator[DeadDetail]:
        """Every dead letter that matches, in full, newest first."""
        async with aclosing(self._pages(wanted, None)) as pages:
            async for rows, letters in pages:
                for row in rows:
                    letter = letters.get(row.member)
                    detail = await self._detail(letter) if letter is not None and wanted.matches(letter) else None
                    if detail is not None:
                        yield detail

    async def count(self, wanted: DeadFilter) -> DeadCount:
        """By stage, why and code. Looks at the newest 10 000 rows."""
        rows = 0
        for partition in self._asked(wanted):
            low = "-inf" if wanted.since_ms is None else wanted.since_ms
            high = "+inf" if wanted.until_ms is None else wanted.until_ms
            rows += await self._client.zcount(self._partitions.keys(partition).dead, low, high)
        groups: Counter[tuple[str, Why, str]] = Counter()
        newest_ms: int | None = None
        seen = 0
        async with aclosing(self._pages(wanted, None)) as pages:
            async for page, letters in pages:
                newest_ms = page[0].at_ms if newest_ms is None else newest_ms
                seen += len(page)
                groups.update(
                    (letter.stage, letter.why, letter.code) for letter in letters.values() if wanted.matches(letter)
                )
                if seen >= MOST_COUNTED:
                    break
        counted = [DeadGroup(*group, number) for group, number in groups.most_common()]
        return DeadCount(rows, groups.total(), seen >= rows, newest_ms, counted)

    def _asked(self, wanted: DeadFilter) -> Sequence[str]:
        return list(self._partitions) if wanted.tenant is None else [self._partitions.of_tenant(wanted.tenant)]

    async def _pages(
        self, wanted: DeadFilter, before: str | None
    ) -> AsyncGenerator[tuple[list[Place], dict[str, DeadLetter]]]:
        """Rows, newest first, and the letters of those that are dead."""
        sets = [self._partitions.keys(partition).dead for partition in self._asked(wanted)]
        place = None if before is None else Place.parse(before)
        rows = newest_first(self._client, sets, before=place, since_ms=wanted.since_ms, until_ms=wanted.until_ms)
        page: list[Place] = []
        async with aclosing(rows):
            async for row in rows:
                page.append(row)
                if len(page) == PAGE:
                    yield page, await self._letters(page)
                    page = []
        if page:
            yield page, await self._letters(page)

    async def _letters(self, rows: Sequence[Place]) -> dict[str, DeadLetter]:
        """The letters of rows whose jobs are dead. One pipeline a partition for the hashes, one for the entries."""
        by_partition: dict[str, list[Place]] = {}
        for row in rows:
            with suppress(UnknownJobId):
                by_partition.setdefault(self._partitions.of_job(row.member), []).append(row)
        letters: dict[str, DeadLetter] = {}
        for partition, some in by_partition.items():
            for letter in await self._letters_of(partition, some):
                letters[letter.job] = letter
        return letters

    async def _letters_of(self, partition: str, rows: Sequence[Place]) -> list[DeadLetter]:
        keys = self._partitions.keys(partition)
        async with self._client.pipeline(transaction=False) as pipeline:
            for row in rows:
                pipeline.hmget(keys.job(row.member), FIELDS)
            hashes = [read_fields(reply) for reply in await pipeline.execute(raise_on_error=False)]
        dead = [(row, fields) for row, fields in zip(rows, hashes, strict=True) if fields.get("state") == State.FAILED]
        async with self._client.pipeline(transaction=False) as pipeline:
            for _, fields in dead:
                grave = fields["grave"] or "0-0"
                pipeline.xrange(f"{keys.dead}:{fields['stage']}", grave, grave)
            graves = await pipeline.execute()
        return [read_letter(row, fields, read_entry(grave)) for (row, fields), grave in zip(dead, graves, strict=True)]

    async def _detail(self, letter: DeadLetter) -> DeadDetail | None:
        seen = await read_job(self._client, self._partitions, letter.job)
        if seen is None:
            return None
        return DeadDetail(letter, seen, await read_log(self._client, self._partitions, letter.job))
