"""Somebody who watches a job over Server-Sent Events, as a browser does: follows the stream, and comes back with its
cursor when it breaks, to the other gateway if one is down. It writes down what it is shown and judges nothing.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from typing import Literal

import aiohttp
import msgspec

from tests.faults.history import Frame, Journal, WatcherLeft, now_s
from tests.faults.plan import WatcherPlan

GONE_AFTER_S = 10.0
"""How long a job that was accepted may be unknown: its Redis may have just come back."""
SILENT_S = 10.0
"""A stream without a sign of life for so long is broken. Gateways of a run give one each second."""
CONNECT_S = 5.0
LONGEST_FRAME_BYTES = 1 << 22
FIRST_RETRY_S = 0.3
"""Until the server says otherwise."""
LONGEST_RETRY_S = 2.0
"""Where the server asks for more: a run is short."""
LEFT = Literal["end", "gone", "left", "run_over"]


class _Percent(msgspec.Struct):
    percent: float | None = None


class _Data(msgspec.Struct):
    state: str | None = None
    progress: _Percent | None = None


class _Envelope(msgspec.Struct):
    rev: int | None = None
    data: _Data | None = None


_envelope = msgspec.json.Decoder(_Envelope)


class Watcher:
    """One watcher of one job."""

    def __init__(
        self,
        name: str,
        plan: WatcherPlan,
        session: aiohttp.ClientSession,
        gateway_urls: Sequence[str],
        journal: Journal,
    ) -> None:
        """`session` carries the key."""
        self.done = False
        """It has seen the end, or has left."""
        self._name = name
        self._plan = plan
        self._session = session
        self._urls = gateway_urls
        self._journal = journal
        self._chance = random.Random(f"watcher {name}")
        self._gateway = self._chance.randrange(len(gateway_urls))
        self._connection = 0
        self._cursor: str | None = None
        self._retry_s = FIRST_RETRY_S
        self._breaks_after_s = plan.breaks_after_s
        self._unknown_since_s: float | None = None
        self._last = "nothing"

    def describe(self) -> str:
        """What it waits for."""
        return f"watcher {self._name} waits for the end after {self._last}, in connection {self._connection}"

    async def run(self, job: str) -> None:
        """From the moment in which the job was accepted to the end of the stream, or of the watcher's interest."""
        how: LEFT = "run_over"
        try:
            await asyncio.sleep(self._plan.after_s)
            async with asyncio.timeout(self._plan.leaves_after_s):
                how = await self._follow(job)
        except TimeoutError:
            how = "left"
        finally:
            self.done = True
            self._journal.add(WatcherLeft(at_s=now_s(), watcher=self._name, job=job, how=how))

    async def _follow(self, job: str) -> Literal["end", "gone"]:
        """Connection after connection."""
        while True:
            how: Literal["end", "gone"] | None = None
            # Whatever it was that broke: it comes back.
            with contextlib.suppress(aiohttp.ClientError, OSError, ValueError, TimeoutError):
                how = await self._connect(job)
            if how is not None:
                return how
            self._gateway = (self._gateway + 1) % len(self._urls)
            await asyncio.sleep(min(self._retry_s, LONGEST_RETRY_S) * self._chance.uniform(0.5, 1.0))

    async def _connect(self, job: str) -> Literal["end", "gone"] | None:
        """One connection; None when it is to come back."""
        self._connection += 1
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._cursor} if self._cursor else {})
        url = f"{self._urls[self._gateway]}/v1/jobs/{job}/events"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S)
        async with self._session.get(url, headers=headers, timeout=timeout, read_bufsize=1 << 16) as response:
            if response.status == 404:
                return self._unknown()
            self._unknown_since_s = None
            if response.status == 204:
                return "gone"
            if response.status != 200:
                return None
            breaks_after_s, self._breaks_after_s = self._breaks_after_s, None
            # What is left unread breaks the connection.
            async with asyncio.timeout(breaks_after_s):
                async for block in _blocks(response):
                    if self._show(job, block):
                        return "end"
        return None

    def _unknown(self) -> Literal["gone"] | None:
        if self._unknown_since_s is None:
            self._unknown_since_s = now_s()
        return "gone" if now_s() - self._unknown_since_s > GONE_AFTER_S else None

    def _show(self, job: str, block: bytes) -> bool:
        """Takes note of one frame; True when it is the last."""
        fields = dict(_field(line) for line in block.split(b"\n") if line)
        if b"id" in fields:
            self._cursor = fields[b"id"].decode()
        if b"retry" in fields:
            self._retry_s = int(fields[b"retry"]) / 1000
        event, data = fields.get(b"event", b"").decode(), fields.get(b"data")
        if not event or event == "heartbeat" or not data:
            return False
        seen = _envelope.decode(data) if event not in ("end", "reconnect") else _Envelope()
        progress = seen.data.progress if seen.data else None
        self._last = event
        self._journal.add(
            Frame(
                at_s=now_s(),
                watcher=self._name,
                job=job,
                connection=self._connection,
                event=event,
                id=fields[b"id"].decode() if b"id" in fields else None,
                rev=seen.rev,
                state=seen.data.state if seen.data and event in ("snapshot", "resync") else None,
                percent=progress.percent if progress else None,
            )
        )
        return event == "end"


async def _blocks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """What lies between empty lines. One that the connection breaks in is dropped, as the standard asks."""
    text = b""
    async for piece in response.content.iter_any():
        text += piece
        while b"\n\n" in text:
            block, _, text = text.partition(b"\n\n")
            yield block
        if len(text) > LONGEST_FRAME_BYTES:
            message = f"a frame of more than {LONGEST_FRAME_BYTES} bytes"
            raise ValueError(message)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name, value.removeprefix(b" ")
