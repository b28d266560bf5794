"""A job's events as they happen: Server-Sent Events, taken up again wherever a connection broke."""

import contextlib
import http
import http.client
from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from gateway.command.client import PATIENCE_S, ConnectionLost, GatewayClient

_LONGEST_LINE_BYTES = 1 << 20


class Event(msgspec.Struct, frozen=True):
    """One event. `snapshot` and `resync` carry the job as `data`; `envelope` is the event as it came, one line."""

    type: str
    envelope: bytes
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Envelope(msgspec.Struct, frozen=True):
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Frame(msgspec.Struct):
    """What has been read of one event, by the rules of WHATWG HTML section 9.2."""

    event: str = ""
    id: str | None = None
    data: bytes | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_CONTROL = frozenset({"end", "reconnect", "heartbeat"})


def watch(client: GatewayClient, job: str) -> Iterator[Event]:
    """Everything from a snapshot to the job's terminal event.

    A heartbeat is yielded too (as an event of that type without data), so that the caller can look around. Raises
    `CommandFailure` when the job is not known or the gateway stays away for a minute.
    """
    cursor = ""
    patience = client.patience()
    while True:
        try:
            with _stream(client, job, cursor) as response:
                if response.status == http.HTTPStatus.NO_CONTENT:
                    return
                for frame in _frames(response):
                    patience.refresh(PATIENCE_S)
                    if frame.id is not None:
                        cursor = frame.id
                    if frame.event == "end":
                        return
                    if frame.data is not None and frame.event != "reconnect":
                        yield _event(frame)
            raise ConnectionLost("the stream ended early")
        except ConnectionLost as lost:
            patience.wait(lost)


@contextlib.contextmanager
def _stream(client: GatewayClient, job: str, cursor: str) -> Iterator[http.client.HTTPResponse]:
    headers = {"Accept": "text/event-stream"}
    if cursor:
        headers["Last-Event-ID"] = cursor
    response = client.open("GET", f"/v1/jobs/{quote(job, safe='')}/events", headers)
    try:
        yield response
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionLost(str(error) or type(error).__name__) from error
    finally:
        response.close()


def _frames(response: http.client.HTTPResponse) -> Iterator[_Frame]:
    frame = _Frame()
    while line := response.readline(_LONGEST_LINE_BYTES):
        if line == b"\n":
            yield frame
            frame = _Frame()
            continue
        name, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            frame.event = value.decode()
        elif name == b"id":
            frame.id = value.decode()
        elif name == b"data" and value:
            frame.data = value if frame.data is None else frame.data + b"\n" + value


def _event(frame: _Frame) -> Event:
    envelope = frame.data or b"{}"
    if frame.event in _CONTROL:
        return Event(frame.event, envelope)
    return Event(frame.event, envelope, _envelope.decode(envelope).data)
