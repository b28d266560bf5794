"""A stream of events that outlives its connections: taken up again where it was, watched for silence."""

from collections.abc import AsyncGenerator, Callable

from gateway.client.documents import JobPage
from gateway.client.errors import not_a_gateway
from gateway.client.events import HEARTBEAT, RESYNC, SNAPSHOT, Data, Event, read_event
from gateway.client.patience import Lost
from gateway.client.place import Place
from gateway.client.sse import Frame, FrameTooLarge, Parser
from gateway.client.transport import Transport, lost, read_piece

_END, _RECONNECT = "end", "reconnect"


class Watching:
    """The events at `path`. `whole` reads the data of snapshot and resync; `has_end`: the first terminal event is last.

    `after` is the id of the last event that is known from an earlier time.
    """

    def __init__(
        self, transport: Transport, path: str, whole: Callable[[bytes], Data], *, after: str | None, has_end: bool
    ) -> None:
        self._transport = transport
        self._path = path
        self._whole = whole
        self._has_end = has_end
        self._place = Place(after)
        self._retry_s = 0.0
        self._over = False

    async def events(self, *, heartbeats: bool) -> AsyncGenerator[Event, None]:
        """To the end. Raises ProblemError, or Unreachable when nothing arrives for as long as patience lasts."""
        patience = await self._transport.patience()
        while True:
            try:
                async with self._transport.exchange("GET", self._path, headers=self._headers()) as response:
                    if response.status == 204:
                        return
                    if response.content_type != "text/event-stream":
                        raise not_a_gateway()
                    parser = Parser()
                    while piece := await read_piece(response):
                        patience.refresh()
                        for frame in parser.feed(piece):
                            event = self._news(frame)
                            if event is not None and (heartbeats or event.type != HEARTBEAT):
                                yield event
                            if self._over:
                                return
                failure = lost("the stream ended early")
            except Lost as cut:
                failure = cut
            except FrameTooLarge:
                raise not_a_gateway() from None
            await patience.pause(failure, self._retry_s)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        return headers | ({"Last-Event-ID": self._place.cursor} if self._place.cursor else {})

    def _news(self, frame: Frame) -> Event | None:
        """What there is to tell of a frame; the cursor moves with it."""
        if frame.retry_ms is not None:
            self._retry_s = frame.retry_ms / 1000
        if frame.id is not None:
            self._place.cursor = frame.id
        if frame.event == _END:
            self._over = True
        if not frame.data or frame.event in (_END, _RECONNECT):
            return None
        event = read_event(frame.data, frame.event, frame.id, self._whole)
        if event.type in (SNAPSHOT, RESYNC):
            jobs = event.data.jobs if isinstance(event.data, JobPage) else ()
            self._place.begin_anew(frame.id, {job.id: job.rev for job in jobs})
        elif not self._place.is_news(frame.id, event.job, event.rev):
            return None
        self._over = self._has_end and event.terminal
        return event
