"""Streams of gateways that are not there: what a foreign, an older, a newer or a broken one would send."""

import json
import time
from contextlib import aclosing

import pytest

from gateway.client import ProblemError, Unreachable
from gateway.client.documents import Job, JobPage
from gateway.client.events import Completed, Failed, Retrying, Started
from gateway.client.sse import Parser
from tests.client.conftest import MakeClient
from tests.client.scripts import END, JOB, PRIME, event, problem, stream
from tests.client.test_watch import collect
from tests.command.breaking_server import Answer, Request, breaking_server


async def test_coming_back_when_asked_to(make_client: MakeClient) -> None:
    came: list[tuple[float, str | None]] = []

    def answer(request: Request) -> None:
        came.append((time.monotonic(), request.headers["Last-Event-ID"]))
        if len(came) == 1:
            body = PRIME + event("snapshot", 1, JOB) + b'retry: 300\nevent: reconnect\ndata: {"reason":"draining"}\n\n'
        else:
            body = event("job.completed", 2, {"outputs": []})
        stream(request, body)

    with breaking_server(answer) as url:
        seen = await collect(make_client(url).watch("j00-1"))
    assert [one.type for one in seen] == ["snapshot", "job.completed"]
    assert [cursor for _, cursor in came] == [None, "e.1-0"]
    assert came[1][0] - came[0][0] >= 0.3


async def test_nothing_is_told_twice_whatever_the_gateway_repeats(make_client: MakeClient) -> None:
    """It knows no cursor and begins each time with the first event."""
    answers = 0

    def answer(request: Request) -> None:
        nonlocal answers
        answers += 1
        body = PRIME + b"".join(event("job.stage", rev, {"done": "a", "next": "b"}) for rev in range(1, answers + 2))
        stream(request, body + (event("job.expired", 9, {}) if answers == 4 else b""))

    with breaking_server(answer) as url:
        seen = await collect(make_client(url).watch("j00-1"))
    assert [one.rev for one in seen] == [1, 2, 3, 4, 5, 9]


async def test_what_counts_anew_after_a_resync(make_client: MakeClient) -> None:
    """Redis lost its last second: what comes after it may have older ids than what was told before."""
    body = (
        PRIME
        + event("snapshot", 5, JOB)
        + event("job.started", 6, {"stage": "ingest"})
        + event("resync", 4, JOB)
        + event("job.queued", 3, {"stage": "ingest"})
        + event("job.started", 6, {"stage": "ingest"})
        + event("job.completed", 7, {"outputs": []})
    )
    with breaking_server(lambda request: stream(request, body)) as url:
        seen = await collect(make_client(url).watch("j00-1"))
    assert [(one.type, one.rev) for one in seen] == [
        ("snapshot", 5), ("job.started", 6), ("resync", 4), ("job.started", 6), ("job.completed", 7),
    ]  # fmt: skip


async def test_what_is_not_known_passes(make_client: MakeClient) -> None:
    """A newer gateway's fields, states and events, an older one's missing fields, and another one's forms."""
    body = (
        b"\xef\xbb\xbf: a comment\r\nretry: soon\r\nunknown: field\r\nid: e.0-0\r\ndata\r\n\r\n"
        + event("snapshot", 1, {"id": "j00-1", "state": "napping", "new": {"deep": [1]}, "document": 7})
        + event("job.napped", 2, {"for_s": 3})
        + event("job.started", 3, {"stage": 7})
        + event("job.retrying", 4, {"reason": {"code": "X", "new": 1}, "more": True})
        + b'event: notice\ndata: {"text":\ndata: "two lines"}\n\n'
        + b"event: noise\ndata: no json\n\n"
        + event("job.completed", 5, {"outputs": [{"name": "a", "size_bytes": 1, "sha256": "0", "url": "/a"}]})
    )
    with breaking_server(lambda request: stream(request, body)) as url:
        seen = await collect(make_client(url).watch("j00-1"))
    assert isinstance(seen[0].data, Job)
    assert (seen[0].data.state, seen[0].data.ended, seen[0].data.document[:1]) == ("napping", False, b"{")
    assert (seen[1].type, seen[1].data) == ("job.napped", {"for_s": 3})
    assert (seen[2].type, seen[2].data) == ("job.started", {"stage": 7})
    assert isinstance(seen[3].data, Retrying)
    assert (seen[4].type, seen[4].data) == ("notice", {"text": "two lines"})
    assert (seen[5].type, seen[5].data, seen[5].document) == ("noise", {}, b"no json")
    assert isinstance(seen[6].data, Completed)
    assert len(seen) == 7


async def test_all_jobs_of_a_tenant(make_client: MakeClient) -> None:
    asked: list[tuple[str, str | None]] = []
    page = {"jobs": [JOB], "next": "more"}
    whole = {"job": None, "rev": None}

    def answer(request: Request) -> None:
        asked.append((request.path, request.headers["Last-Event-ID"]))
        if len(asked) == 1:
            body = PRIME + event("snapshot", 1, page, **whole) + event("job.completed", 2, {"outputs": []}, job="j00-1")
        elif len(asked) == 2:
            body = event("job.started", 3, {"stage": "ingest"}, job="j00-2") + event("resync", 5, page, **whole)
        else:
            body = event("job.failed", 6, {"error": {"code": "NOT_MEDIA"}}, job="j00-2")
        stream(request, body)

    seen = []
    with breaking_server(answer) as url:
        async with aclosing(make_client(url).watch_tenant("tall & wide")) as events:
            async for one in events:
                seen.append((one.type, one.job, type(one.data)))
                if one.type == "job.failed":
                    break
    assert seen == [
        ("snapshot", "", JobPage),
        ("job.completed", "j00-1", Completed),
        ("job.started", "j00-2", Started),
        ("resync", "", JobPage),
        ("job.failed", "j00-2", Failed),
    ]
    path = "/v1/events?tag=tall+%26+wide"
    assert asked == [(path, None), (path, "e.2-0"), (path, "e.5-0")]


async def test_what_a_snapshot_of_all_jobs_holds_is_not_told_again(make_client: MakeClient) -> None:
    """It is newer than its id: who is cut off right behind it is sent what it had included."""
    page = {"jobs": [JOB | {"rev": 3}], "next": None}
    answers = [
        PRIME + event("snapshot", 1, page, job=None, rev=None),
        event("job.started", 2, {"stage": "ingest"}, job="j00-1")
        + event("job.started", 1, {"stage": "ingest"}, job="j00-2", id="e.3-0")
        + event("job.stage", 3, {"done": "ingest", "next": "fetch"}, job="j00-1", id="e.4-0")
        + event("job.started", 4, {"stage": "fetch"}, job="j00-1", id="e.5-0"),
    ]
    seen = []
    with breaking_server(lambda request: stream(request, answers.pop(0))) as url:
        async with aclosing(make_client(url).watch_tenant()) as events:
            async for one in events:
                seen.append((one.job, one.rev))
                if one.rev == 4:
                    break
    assert seen == [("", 0), ("j00-2", 1), ("j00-1", 4)]


async def test_the_end_without_a_terminal_event(make_client: MakeClient) -> None:
    """The job was deleted meanwhile, or its end was told on an earlier connection."""
    answers: list[Answer] = [
        lambda request: stream(request, PRIME + event("snapshot", 1, JOB) + END + event("job.late", 2, {})),
        lambda request: request.reply(204, b""),
    ]
    with breaking_server(lambda request: answers.pop(0)(request)) as url:
        client = make_client(url)
        assert [one.type async for one in client.watch("j00-1")] == ["snapshot"]
        assert [one.type async for one in client.watch("j00-1", after="e.9-0")] == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/html", b"<html>sign in</html>"), ("text/event-stream", b"data: " + bytes(1 << 20) * 17)],
)
async def test_what_is_no_stream(make_client: MakeClient, kind: str, body: bytes) -> None:
    with (
        breaking_server(lambda request: request.reply(200, body, Content_Type=kind)) as url,
        pytest.raises(Unreachable, match="no Reelway gateway"),
    ):
        await collect(make_client(url).watch("j00-1"))


async def test_a_gateway_that_stays_away(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = 0

    def answer(request: Request) -> None:
        nonlocal requests
        requests += 1
        if requests == 1:
            stream(request, PRIME + event("snapshot", 1, JOB))
        elif requests > 3:
            request.reply(503, problem("STORE_UNAVAILABLE"), Retry_After="0")

    with breaking_server(answer) as url, pytest.raises(ProblemError, match="STORE_UNAVAILABLE"):
        await collect(make_client(url, patience_s=0.5).watch("j00-1"))
    assert requests > 4


async def test_the_key_may_be_taken_away(make_client: MakeClient) -> None:
    answers: list[Answer] = [
        lambda request: stream(request, PRIME + event("snapshot", 1, JOB)),
        lambda request: request.reply(401, json.dumps({"code": "UNAUTHORIZED"}).encode()),
    ]
    with breaking_server(lambda request: answers.pop(0)(request)) as url, pytest.raises(ProblemError) as refused:
        await collect(make_client(url).watch("j00-1"))
    assert refused.value.status == 401


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_reads_the_same_in_any_pieces(end: bytes) -> None:
    lines = [b"retry: 10", b"id: e.1", b"data", b"", b"event: a", b"data: x", b"data:  y", b"id: \0", b"", b": no", b""]
    text = end.join([*lines, b"event: cut"])
    for size in range(1, len(text) + 1):
        parser = Parser()
        frames = [frame for begin in range(0, len(text), size) for frame in parser.feed(text[begin : begin + size])]
        assert [(frame.event, frame.id, frame.data, frame.retry_ms) for frame in frames] == [
            ("", "e.1", b"", 10), ("a", None, b"x\n y", None), ("", None, b"", None),
        ]  # fmt: skip
