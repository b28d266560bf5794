"""Requests: tried again without harm, refused with a type, and never with the key where it does not belong."""

import asyncio
import functools
import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest

from gateway.client import Client, GatewayError, Job, Output, ProblemError, Unreachable, transport
from gateway.client.address import Address, path_on_gateway
from gateway.client.documents import Children
from gateway.http.service import GatewayService
from tests.client.conftest import MakeClient
from tests.client.scripts import JOB, problem
from tests.client.wire import Plan, Wire
from tests.command.breaking_server import Request, breaking_server
from tests.gateway.conftest import KEY
from tests.gateway.scripted_worker import ScriptedWorker

SOURCE = "https://media.example/clip.mp4"


async def test_an_answer_that_is_lost_makes_no_second_job(wire: Wire, wired: Client, client: Client) -> None:
    wire.plans = [Plan(cut_after_bytes=0), Plan(cut_after_bytes=0), Plan(cut_after_bytes=40), Plan(cut_after_bytes=700)]
    job = await wired.submit(SOURCE, "mp3", quality="192k", tags=["a"], priority="high", deadline_s=600)
    assert [one.id async for one in client.jobs()] == [job.id]
    assert (job.state, job.quality, job.tags) == ("queued", "192k", ("a",))
    assert wire.connections == 5
    assert wire.sent.count(b"POST /v1/jobs ") == 5
    lines = [line for line in wire.sent.split(b"\r\n") if line.lower().startswith(b"idempotency-key:")]
    assert len(lines) == 5
    assert len(set(lines)) == 1
    assert (await wired.submit(SOURCE, "mp3")).id != job.id, "another call is another job"
    again = [await wired.submit(SOURCE, "mp3", idempotency_key="mine") for _ in range(2)]
    assert again[0].id == again[1].id


async def test_lists_pages_and_the_end_of_a_job(client: Client, worker: ScriptedWorker) -> None:
    jobs = [(await client.submit(SOURCE, "mp3", start_at=datetime.now(UTC) + timedelta(hours=1))).id for _ in range(5)]
    page = await client.page(limit=2, state="delayed")
    assert [job.id for job in page.jobs] == jobs[:2:-1]
    assert page.next is not None
    assert [job.id for job in (await client.page(limit=2, state="delayed", cursor=page.next)).jobs] == jobs[2:0:-1]
    assert [job.id async for job in client.jobs(state="delayed")] == jobs[::-1]
    assert [job async for job in client.jobs(state="failed")] == []
    assert (await client.cancel(jobs[0])).state == "cancelled"
    assert (await client.cancel(jobs[0])).state == "cancelled", "it may be repeated"
    job = await client.submit(SOURCE, "mp3")
    waiting = asyncio.create_task(client.wait(job.id))
    await worker.run(job.id)
    ended = await asyncio.wait_for(waiting, 10)
    assert (ended.state, ended.ended, ended.outputs[0].codecs.audio) == ("completed", True, "mp3")
    assert ended == await client.job(job.id)
    assert msgspec.json.decode(ended.document)["links"]["self"] == f"/v1/jobs/{job.id}"
    with pytest.raises(ProblemError) as refused:
        await client.cancel(job.id)
    assert (refused.value.code, refused.value.status) == ("ILLEGAL_STATE", 409)


async def test_waiting_holds_one_request_and_ends_when_it_is_time(client: Client, gateway: GatewayService) -> None:
    job = await client.submit(SOURCE, "mp3")
    began_s = time.monotonic()
    assert not (await client.wait(job.id, 1.0)).ended
    assert 0.9 < time.monotonic() - began_s < 3
    counted = gateway.context.metrics.requests.labels("/v1/jobs/{job}", "GET", 200)._value.get()
    assert counted <= 2


async def test_waiting_at_a_gateway_that_answers_at_once(make_client: MakeClient) -> None:
    preferences: list[str | None] = []

    def answer(request: Request) -> None:
        preferences.append(request.headers["Prefer"])
        request.reply(200, json.dumps(JOB | {"state": "failed" if len(preferences) == 3 else "queued"}).encode())

    began_s = time.monotonic()
    with breaking_server(answer) as url:
        assert (await make_client(url).wait("j00-1")).state == "failed"
    assert time.monotonic() - began_s >= 1.0
    assert preferences == ["wait=30"] * 3


async def test_a_refusal_says_everything(client: Client, make_client: MakeClient, gateway: GatewayService) -> None:
    with pytest.raises(ProblemError) as refused:
        await client.submit("ftp://a.example/x", "mp33", colour="red")
    error = refused.value
    assert (error.status, error.code, error.passes) == (422, "INVALID_REQUEST", False)
    assert [one.pointer for one in error.errors if one.detail] == ["/colour", "/source", "/format"]
    assert error.request_id.startswith("req-")
    assert error.title
    assert error.suggestion
    assert f"[{error.code}]" in str(error)
    with pytest.raises(ProblemError, match="JOB_NOT_FOUND"):
        await client.job("../../livez")
    with pytest.raises(ProblemError) as unknown:
        await make_client(gateway.url, "rw_another").page()
    assert (unknown.value.status, unknown.value.code) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
async def test_what_passes_is_waited_for(make_client: MakeClient, status: int) -> None:
    came: list[float] = []

    def answer(request: Request) -> None:
        came.append(time.monotonic())
        if len(came) == 1:
            request.reply(status, b"<html>a proxy</html>", Retry_After="1")
        else:
            request.reply(202, json.dumps(JOB).encode())

    with breaking_server(answer) as url:
        assert (await make_client(url).submit(SOURCE, "mp3")).id == "j00-1"
    assert came[1] - came[0] >= 1.0


async def test_patience_ends_with_the_last_answer(make_client: MakeClient) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    answers: list[Callable[[Request], None]] = [
        lambda request: request.reply(429, problem("TENANT_BACKLOG", suggestion="wait"), Retry_After="61"),
        lambda request: request.reply(503, problem("SERVER_BACKLOG"), Retry_After=later),
        lambda request: request.reply(507, problem("DISK_FULL"), Retry_After="1"),
        lambda request: request.reply(307, b"", Location="https://elsewhere.example/"),
    ]
    with breaking_server(lambda request: answers.pop(0)(request)) as url:
        client = make_client(url)
        for code, status, least_s in (
            ("TENANT_BACKLOG", 429, 61), ("SERVER_BACKLOG", 503, 80), ("DISK_FULL", 507, 1), ("HTTP_307", 307, 0),
        ):  # fmt: skip
            with pytest.raises(ProblemError) as refused:
                await client.submit(SOURCE, "mp3")
            assert (refused.value.code, refused.value.status) == (code, status)
            assert refused.value.retry_after_s >= least_s
    assert answers == []


async def test_a_gateway_that_is_not_there(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_PATIENCE_S", 0.2)
    began_s = time.monotonic()
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1: Connection refused"):
        await make_client("http://127.0.0.1:1").page()
    assert 0.1 < time.monotonic() - began_s < 2


async def test_what_answers_is_no_gateway(make_client: MakeClient) -> None:
    bodies = [b"<html>", b"{}", b'{"jobs": 7}']
    with breaking_server(lambda request: request.reply(200, bodies.pop(0))) as url:
        while bodies:
            with pytest.raises(Unreachable, match="no Reelway gateway"):
                await make_client(url).page()


async def test_a_gateway_that_moves(gateway: GatewayService, wire: Wire) -> None:
    """As an embedded one does, which gets another port when it is started again."""
    places = [wire.url, gateway.url]

    async def where() -> Address:
        return Address(places.pop(0), KEY)

    async with Client.at(where) as client:
        # The library itself sends a GET once more.
        wire.plans = [Plan(cut_after_bytes=0), Plan(cut_after_bytes=0)]
        assert (await client.page()).jobs == ()
        assert (await client.page()).jobs == ()
    assert places == []


async def test_routes_of_other_gateways(make_client: MakeClient) -> None:
    asked: list[tuple[str, str, bytes]] = []

    def answer(request: Request) -> None:
        asked.append((request.command, request.path, request.rfile.read(int(request.headers.get("Content-Length", 0)))))
        request.reply(204 if request.command == "DELETE" else 202, b"" if request.command == "DELETE" else body)

    output = {"name": "a", "size_bytes": 1, "sha256": "0", "url": "/a", "chapters": [1]}
    children = {"total": 2, "open": 1}
    job_of_a_newer_one = {
        "id": "j00-1", "state": "napping", "new": 1, "source": None, "children": children, "outputs": [output],
    }  # fmt: skip
    body = json.dumps(job_of_a_newer_one).encode()
    with breaking_server(answer) as url:
        client = make_client(f"{url}/below/")
        job = await client.retry("j00-1")
        await client.delete("j00/1")
        await client.submit([SOURCE, SOURCE], "mp3", metadata={"a": "b"}, colour="red")
    assert (job.state, job.source, job.outputs) == ("napping", None, (Output("a", 1, "0", "/a"),))
    assert (job.children, job.parent, job.metadata) == (Children(total=2, open=1), None, {})
    assert [(method, path) for method, path, _ in asked] == [
        ("POST", "/below/v1/jobs/j00-1/retry"), ("DELETE", "/below/v1/jobs/j00%2F1"), ("POST", "/below/v1/jobs"),
    ]  # fmt: skip
    assert json.loads(asked[2][2]) == {
        "source": [SOURCE, SOURCE], "format": "mp3", "metadata": {"a": "b"}, "colour": "red",
    }  # fmt: skip


async def test_the_key_is_told_to_nobody(
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    wire: Wire,
    wired: Client,
) -> None:
    """In the header of every request, and nowhere else: no address, no log line, no text of an error or its causes."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    monkeypatch.setattr(transport, "FIRST_PATIENCE_S", 0.1)
    told = [repr(Address(wire.url, KEY)), repr(wired), repr(vars(wired))]

    async def fails(call: Awaitable[object]) -> None:
        with pytest.raises((GatewayError, ValueError)) as failed:
            await call
        told.append("".join(traceback.format_exception(failed.value)))
        cause: BaseException | None = failed.value
        while cause is not None:
            told.append(repr(cause) + repr(cause.args) + repr(vars(cause)))
            cause = cause.__cause__ or cause.__context__

    await wired.submit(SOURCE, "mp3")
    await fails(wired.job("j00-1"))
    await fails(make_client("http://127.0.0.1:1").page())
    for head in (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1 200"):
        with breaking_server(functools.partial(_say, head)) as url:
            await fails(make_client(url, patience_s=0.1).page())
    with breaking_server(lambda request: request.reply(302, b"", Location="http://elsewhere.example/")) as url:
        await fails(make_client(url).page())
    for url, key in ((f"http://{KEY}@a.example", KEY), ("ftp://a.example", KEY), ("http://a.example", KEY + "\n")):
        with pytest.raises(ValueError) as failed:
            Client(url, key)
        told.append("".join(traceback.format_exception(failed.value)).replace(repr(url), ""))
    asyncio.get_running_loop().set_debug(False)
    assert not [text for text in (*told, caplog.text) if KEY in text]
    for request in wire.sent.split(b"\r\n\r\n"):
        lines = [line for line in request.split(b"\r\n") if KEY.encode() in line]
        assert all(line == b"Authorization: Bearer " + KEY.encode() for line in lines)


def _say(head: bytes, request: Request) -> None:
    request.wfile.write(head)


@pytest.mark.parametrize(
    ("url", "path"),
    [("/v1/a?b=c", "/v1/a?b=c"), ("http://elsewhere:1/v1/a", "/v1/a"), ("v1/a", "/v1/a")],
)
def test_an_output_stays_on_the_gateway(url: str, path: str) -> None:
    assert path_on_gateway(url) == path


def test_documents_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Job(id="a", state="queued").state = "failed"  # type: ignore[misc]
