"""Answers of a gateway that is not there: what a foreign, an older or a newer one would send."""

import json
from typing import Any

from tests.command.breaking_server import Request

JOB = {
    "id": "j00-1",
    "state": "queued",
    "progress": {"percent": 0.0},
    "source": "https://a.example/b",
    "format": "mp3",
    "created_at": "2026-01-01T00:00:00.000Z",
}


def event(kind: str, number: int, data: object, **fields: object) -> bytes:
    """A durable event as a frame. `number` is its revision, and makes its id."""
    identity = f"e.{number}-0"
    envelope = json.dumps(
        {"id": identity, "type": kind, "job": "j00-1", "rev": number, "at": "", "data": data, **fields}
    )
    return f"id: {identity}\nevent: {kind}\ndata: {envelope}\n\n".encode()


def problem(code: str, **fields: Any) -> bytes:
    """The body of a refusal."""
    return json.dumps({"code": code, "title": code.title(), "detail": "what and why", **fields}).encode()


END = b'event: end\ndata: {"job":"j00-1","state":"completed"}\n\n'
PRIME = b"retry: 1\nid: e.0-0\ndata:\n\n"


def stream(request: Request, body: bytes) -> None:
    """Answer with frames, and end."""
    request.reply(200, body, Content_Type="text/event-stream")
