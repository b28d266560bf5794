"""Events and progress for tests of the pure parts."""

from typing import Any

from gateway.streams.events import Event, Pulse


def event(rev: int, kind: str = "job.stage", job: str = "j00-a", **fields: object) -> Event:
    values: dict[str, object] = {
        "partition": "00",
        "epoch": "e1",
        "entry": f"{1000 + rev}-0",
        "type": kind,
        "job": job,
        "tenant": "default",
        "rev": rev,
        "at_ms": 1000 + rev,
        "data": b'{"done":"fetch","next":"store"}',
    }
    return Event(**(values | fields))  # type: ignore[arg-type]


def pulse(rev: int, percent: float, at_ms: int | None = None, job: str = "j00-a") -> Pulse:
    return Pulse(
        partition="00",
        job=job,
        tenant="default",
        rev=rev,
        at_ms=at_ms if at_ms is not None else 1000 + round(percent * 10),
        percent=percent,
        progress=b'{"stage":"fetch"}',
        reason=b"",
    )


def feed_entry(rev: int, job: str) -> dict[Any, Any]:
    """The fields of an entry of the feed, as actors/kernel/lua writes them."""
    return {"default": f'{{"type":"job.stage","job":"{job}","rev":{rev},"at":0,"data":{{}}}}'}
