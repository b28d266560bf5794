"""The client: one method for each thing that a gateway does for its users."""

import asyncio
import math
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from gateway.client.address import Address
from gateway.client.documents import Job, JobPage, Output, Upload, read_job, read_page, read_upload
from gateway.client.downloading import Download
from gateway.client.errors import not_a_gateway
from gateway.client.events import Event, read_events
from gateway.client.patience import Lost
from gateway.client.transport import Transport, Where, read_piece
from gateway.client.uploading import Moved, upload
from gateway.client.watching import Watching

PATIENCE_S = 60.0
_LONGEST_WAIT_S = 30.0
_SHORTEST_WAIT_S = 0.5
_JSON = {"Content-Type": "application/json"}
Read = TypeVar("Read")


class Client:
    """A client of one gateway, for use in one event loop: `async with Client(url, key) as client: …`.

    Every method raises `ProblemError` for what the gateway refuses and `Unreachable` when it does not answer. A
    connection that was lost, and an answer that says "try again" (408, 429, 502, 503, 504), are tried again for
    `patience_s`, or 5 s where no gateway has answered yet; every request is safe to repeat. The key travels in a header
    to this gateway only.
    """

    def __init__(self, url: str, key: str, *, patience_s: float = PATIENCE_S) -> None:
        """Raises ValueError when `url` or `key` cannot be one."""
        address = Address(url, key)

        async def always() -> Address:
            return address

        self._transport = Transport(always, patience_s)

    @classmethod
    def at(cls, where: Where, *, patience_s: float = PATIENCE_S) -> Self:
        """A client of a gateway that moves: `where` is asked first, and again whenever a connection was lost."""
        client = cls.__new__(cls)
        client._transport = Transport(where, patience_s)
        return client

    async def submit(
        self,
        source: str | Sequence[str],
        format: str,  # noqa: A002  # the API's word
        *,
        quality: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        priority: str | None = None,
        deadline_s: float | None = None,
        start_at: datetime | str | None = None,
        delay_s: float | None = None,
        cache: str | None = None,
        on_child_failure: str | None = None,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Job:
        """The accepted job. `source` is an address or an `Upload.source`; several of them make a batch. docs/api.md
        describes the rest.

        Under one `idempotency_key` the same request gives the same job, however often it is sent; one is drawn where
        none is given, so that a retry after a lost answer makes no second job. `fields` is for what a newer gateway
        knows.
        """
        asked = {
            "source": source,
            "format": format,
            "quality": quality,
            "name": name,
            "tags": tags or None,
            "metadata": metadata,
            "priority": priority,
            "deadline_s": deadline_s,
            "start_at": start_at,
            "delay_s": delay_s,
            "cache": cache,
            "on_child_failure": on_child_failure,
            **fields,
        }
        body = msgspec.json.encode({name: value for name, value in asked.items() if value is not None})
        headers = _JSON | {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        return _read(await self._transport.ask("POST", "/v1/jobs", body=body, headers=headers), read_job)

    async def job(self, job: str) -> Job:
        """The job as it is now."""
        return _read(await self._transport.ask("GET", _path_of(job)), read_job)

    async def page(
        self,
        *,
        state: str | None = None,
        tag: str | None = None,
        parent: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> JobPage:
        """One page of jobs, newest first, or of a batch's in their order; `cursor` is the `next` of the page before."""
        asked = {"state": state, "tag": tag, "parent": parent, "limit": limit, "cursor": cursor}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return _read(await self._transport.ask("GET", f"/v1/jobs?{query}"), read_page)

    async def jobs(
        self, *, state: str | None = None, tag: str | None = None, parent: str | None = None
    ) -> AsyncIterator[Job]:
        """All of them, read page by page."""
        cursor: str | None = None
        while True:
            page = await self.page(state=state, tag=tag, parent=parent, cursor=cursor)
            for job in page.jobs:
                yield job
            cursor = page.next
            if cursor is None:
                return

    async def wait(self, job: str, within_s: float | None = None) -> Job:
        """The job once it has ended, or as it is after `within_s`. The gateway holds the answer back: nothing polls."""
        loop = asyncio.get_running_loop()
        until_s = math.inf if within_s is None else loop.time() + within_s
        while True:
            began_s = loop.time()
            left_s = min(_LONGEST_WAIT_S, max(0.0, until_s - began_s))
            document = await self._transport.ask("GET", _path_of(job), headers={"Prefer": f"wait={math.ceil(left_s)}"})
            found = _read(document, read_job)
            if found.ended or loop.time() >= until_s:
                return found
            # A gateway that is being stopped, or that knows no Prefer, answers at once.
            await asyncio.sleep(max(0.0, began_s + min(_SHORTEST_WAIT_S, left_s) - loop.time()))

    async def cancel(self, job: str) -> Job:
        """Cancel: the job as it is now, perhaps still running until its worker has stopped. It never completes."""
        return _read(await self._transport.ask("POST", f"{_path_of(job)}/cancel", body=b""), read_job)

    async def retry(self, job: str) -> Job:
        """Have a job that failed, was cancelled or expired run again."""
        return _read(await self._transport.ask("POST", f"{_path_of(job)}/retry", body=b""), read_job)

    async def delete(self, job: str) -> None:
        """Delete an ended job and its files."""
        await self._transport.ask("DELETE", _path_of(job))

    async def events(self, job: str) -> tuple[Event, ...]:
        """The durable events that the job still keeps, oldest first."""
        found: tuple[Event, ...] = ()
        after: str | None = None
        while True:
            query = f"?{urlencode({'after': after})}" if after else ""
            document = await self._transport.ask("GET", f"{_path_of(job)}/events{query}")
            events, after = _read(document, read_events)
            found += events
            if after is None:
                return found

    def watch(self, job: str, *, after: str | None = None, heartbeats: bool = False) -> AsyncGenerator[Event, None]:
        """The job's events as they happen: a snapshot, then everything, to the terminal event, which is the last one.

        Lost connections are taken up again where they were: no durable event is told twice, and one that could not be
        told is told as `resync`, which carries the job. `after`, the id of an event, goes on from an earlier time;
        nothing comes when that was the terminal one. `heartbeats` are told too if wanted, about every 20 s.
        """
        watching = Watching(self._transport, f"{_path_of(job)}/events", read_job, after=after, has_end=True)
        return watching.events(heartbeats=heartbeats)

    def watch_tenant(
        self, tag: str | None = None, *, after: str | None = None, heartbeats: bool = False
    ) -> AsyncGenerator[Event, None]:
        """The same for all jobs of the tenant, or those with `tag`. It has no end."""
        query = f"?{urlencode({'tag': tag})}" if tag is not None else ""
        watching = Watching(self._transport, f"/v1/events{query}", read_page, after=after, has_end=False)
        return watching.events(heartbeats=heartbeats)

    async def upload(self, source: Path | bytes, name: str | None = None, moved: Moved | None = None) -> Upload:
        """Send a file, or bytes; `moved` hears how many bytes have gone, also downwards when it begins again.

        Raises SourceChanged when the file becomes shorter meanwhile, OSError when it cannot be read.
        """
        named = name or (source.name if isinstance(source, Path) else "upload")
        return _read(await upload(self._transport, source, named, moved), read_upload)

    async def download(self, output: Output, to: Path, moved: Moved | None = None) -> None:
        """Put an output at `to`, over what is there, once it is whole and its size and SHA-256 are right.

        Until then its bytes lie next to it under a hidden name, where an equal call goes on after a crash. Raises
        OutputDamaged, or OSError when it cannot be written.
        """
        part = to.with_name(f".{to.name}.{output.sha256[:16]}.part")
        await self.gather(output, part, moved)
        part.replace(to)

    async def gather(self, output: Output, part: Path, moved: Moved | None = None) -> None:
        """Fill `part` with an output, going on behind the bytes that are there, and check it; as `download` does."""
        await Download(self._transport, output, part, moved).run()

    async def ask(
        self, method: str, path: str, *, parameters: Mapping[str, str] | None = None, body: Any = None
    ) -> bytes:
        """What has no method of its own: a request that is safe to repeat, with `body` as JSON, and its answer."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        sent = None if body is None else msgspec.json.encode(body)
        return await self._transport.ask(method, path + query, body=sent, headers=_JSON if sent else None)

    async def stream(self, path: str, *, parameters: Mapping[str, str] | None = None) -> AsyncGenerator[bytes, None]:
        """The same for a long answer, in pieces. Raises Unreachable when it breaks off in its middle."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        patience = await self._transport.patience()
        while True:
            begun = False
            try:
                async with self._transport.exchange("GET", path + query) as response:
                    while piece := await read_piece(response):
                        begun = True
                        yield piece
                return
            except Lost as cut:
                failure = cut
            if begun:
                raise failure.outcome
            await patience.pause(failure)

    async def close(self) -> None:
        """End every connection. The client can be used again."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _path_of(job: str) -> str:
    return f"/v1/jobs/{quote(job, safe='')}"


def _read(document: bytes, read: Callable[[bytes], Read]) -> Read:
    try:
        return read(document)
    except msgspec.DecodeError:
        raise not_a_gateway() from None
