"""Reading many jobs: a tenant's, or the children of one, page by page. Reads change nothing."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import redis.asyncio

from actors.kernel.keys import Keys, Partitions
from actors.kernel.newest import PAGE, Place, newest_first
from actors.kernel.scripts import text
from actors.kernel.views import JobView, view

LONGEST_SCAN = 2000
"""Rows one filtered page may look at before it answers with a cursor."""

Wanted = Callable[[JobView], bool]
"""A filter."""


async def list_jobs(
    client: redis.asyncio.Redis,
    partitions: Partitions,
    tenant: str,
    *,
    before: str | None = None,
    limit: int = 20,
    wanted: Wanted | None = None,
) -> tuple[list[JobView], str | None]:
    """One page of a tenant's jobs, newest first, and the cursor of the next page (None: the last one).

    `before` is a cursor of an earlier page; a malformed one raises ValueError. A page with a filter (`wanted`) looks at
    no more than 2000 rows, so it can be short and still have a cursor.
    """
    keys = partitions.keys(partitions.of_tenant(tenant))
    place = None if before is None else Place.parse(before)
    found: list[JobView] = []
    async with aclosing(newest_first(client, [keys.jobs(tenant)], before=place)) as rows:
        for _ in range(LONGEST_SCAN // PAGE):
            page = await _page(rows)
            for row, fields in zip(page, await _hashes(client, keys, [row.member for row in page]), strict=True):
                seen = view(row.member, fields) if fields else None
                if seen is not None and (wanted is None or wanted(seen)):
                    if len(found) == limit:
                        return found, str(place)
                    found.append(seen)
                place = row
            if len(page) < PAGE:
                return found, None
    return found, str(place)


async def list_children(
    client: redis.asyncio.Redis,
    partitions: Partitions,
    parent: JobView,
    *,
    after: str | None = None,
    limit: int = 20,
    wanted: Wanted | None = None,
) -> tuple[list[JobView], str | None]:
    """One page of a job's children in the order of their numbers, and the cursor of the next page (None: the last one).

    `after` and `wanted` as in `list_jobs`.
    """
    keys = partitions.keys_of_job(parent.job)
    number = first = 0 if after is None else _number(after)
    found: list[JobView] = []
    while number < parent.children and number - first < LONGEST_SCAN:
        children = [f"{parent.job}.{child}" for child in range(number + 1, min(number + PAGE, parent.children) + 1)]
        for child, fields in zip(children, await _hashes(client, keys, children), strict=True):
            seen = view(child, fields) if fields else None
            if seen is not None and (wanted is None or wanted(seen)):
                if len(found) == limit:
                    return found, str(number)
                found.append(seen)
            number += 1
    return found, str(number) if number < parent.children else None


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 9):
        message = f"not a cursor: {cursor[:40]!r}"
        raise ValueError(message)
    return int(cursor)


async def _page(rows: AsyncGenerator[Place]) -> list[Place]:
    """The next rows, at most PAGE of them."""
    page: list[Place] = []
    async for row in rows:
        page.append(row)
        if len(page) == PAGE:
            break
    return page


async def _hashes(client: redis.asyncio.Redis, keys: Keys, jobs: list[str]) -> list[dict[str, bytes]]:
    if not jobs:
        return []
    async with client.pipeline(transaction=False) as pipeline:
        for job in jobs:
            pipeline.hgetall(keys.job(job))
        replies = await pipeline.execute()
    return [{text(name): value for name, value in fields.items()} for fields in replies]
