"""The client against a gateway that breaks off, lies and refuses."""

import hashlib
import json
from pathlib import Path

import pytest

from actors.settings import Settings
from gateway.command import client as client_module
from gateway.command.client import GatewayClient, relative_path
from gateway.command.connection import Connection
from gateway.command.documents import Output
from gateway.command.download import download
from gateway.command.events import watch
from gateway.command.failure import CommandFailure, ExitCode
from gateway.command.target import Target
from tests.command.breaking_server import Request, breaking_server

_BYTES = bytes(range(256)) * 4096
_OUTPUT = Output("output.mp3", len(_BYTES), hashlib.sha256(_BYTES).hexdigest(), "/v1/jobs/j00-1/outputs/output.mp3")
_JOB = {
    "id": "j00-1", "state": "queued", "progress": {"percent": 0.0}, "source": "https://a/b", "format": "mp3",
    "created_at": "2026-01-01T00:00:00.000Z",
}  # fmt: skip


def _client(url: str, tmp_path: Path) -> GatewayClient:
    settings = Settings(data_dir=tmp_path / "data")
    return GatewayClient(Connection(settings, {"REELWAY_URL": url, "REELWAY_KEY": "rw_test"}))


def _target(tmp_path: Path, *, replace: bool = False) -> Target:
    return Target(tmp_path / "out.mp3", replace=replace, source=None)


def _ignore(_done: int) -> None:
    pass


def test_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    ranges: list[str | None] = []

    def answer(request: Request) -> None:
        asked = request.headers["Range"]
        ranges.append(asked)
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        status = 206 if asked else 200
        piece = _BYTES[begin : begin + 400_000]
        request.reply(status, piece, length=len(_BYTES) - begin)

    with breaking_server(answer) as url:
        download(_client(url, tmp_path), "j00-1", _OUTPUT, _target(tmp_path), _ignore)
    assert (tmp_path / "out.mp3").read_bytes() == _BYTES
    assert ranges == [None, "bytes=400000-", "bytes=800000-"]
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_download_takes_up_what_a_killed_command_left(tmp_path: Path) -> None:
    target = _target(tmp_path)
    target.partial("j00-1").write_bytes(_BYTES[:1000])
    ranges: list[str | None] = []

    def answer(request: Request) -> None:
        ranges.append(request.headers["Range"])
        request.reply(206, _BYTES[1000:])

    with breaking_server(answer) as url:
        download(_client(url, tmp_path), "j00-1", _OUTPUT, target, _ignore)
    assert ranges == ["bytes=1000-"]
    assert target.path.read_bytes() == _BYTES


def test_download_starts_again_when_ranges_are_not_served(tmp_path: Path) -> None:
    target = _target(tmp_path)
    target.partial("j00-1").write_bytes(b"something else")
    with breaking_server(lambda request: request.reply(200, _BYTES)) as url:
        download(_client(url, tmp_path), "j00-1", _OUTPUT, target, _ignore)
    assert target.path.read_bytes() == _BYTES


def test_damaged_download_is_read_once_more_and_never_published(tmp_path: Path) -> None:
    tries: list[str] = []
    damaged = b"\1" + _BYTES[1:]

    def answer(request: Request) -> None:
        tries.append(request.path)
        request.reply(200, damaged)

    target = _target(tmp_path)
    with breaking_server(answer) as url, pytest.raises(CommandFailure) as failed:
        download(_client(url, tmp_path), "j00-1", _OUTPUT, target, _ignore)
    assert failed.value.code == "OUTPUT_DAMAGED"
    assert len(tries) == 2
    assert not target.path.exists()


def test_file_that_appeared_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    target = _target(tmp_path)
    target.path.write_text("somebody else's")
    with breaking_server(lambda request: request.reply(200, _BYTES)) as url, pytest.raises(CommandFailure) as failed:
        download(_client(url, tmp_path), "j00-1", _OUTPUT, target, _ignore)
    assert (failed.value.code, failed.value.exit_code) == ("OUTPUT_EXISTS", ExitCode.USAGE)
    assert target.path.read_text() == "somebody else's"


def test_lost_answers_are_asked_for_again_with_the_same_key(tmp_path: Path) -> None:
    keys: list[str | None] = []

    def answer(request: Request) -> None:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 2:
            request.reply(503, b'{"code":"STORE_UNAVAILABLE","detail":"wait"}', Retry_After="0")
        elif len(keys) > 2:
            request.reply(202, json.dumps(_JOB).encode())

    with breaking_server(answer) as url:
        job = _client(url, tmp_path).submit({"source": "https://a/b", "format": "mp3"}, "once")
    assert job.id == "j00-1"
    assert json.loads(job.document) == _JOB
    assert keys == ["once"] * 3


def test_refusal_keeps_the_code_and_the_hint_of_the_gateway(tmp_path: Path) -> None:
    problem = b'{"code":"ADDRESS_REFUSED","detail":"what and why","suggestion":"what to do","status":422}'
    with breaking_server(lambda request: request.reply(422, problem)) as url, pytest.raises(CommandFailure) as failed:
        _client(url, tmp_path).job("j00-1")
    assert failed.value.exit_code == ExitCode.USAGE
    assert (failed.value.code, failed.value.message) == ("ADDRESS_REFUSED", "what and why")
    assert failed.value.suggestion == "what to do"


def test_absent_gateway_is_told_after_a_short_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_PATIENCE_S", 0.1)
    with pytest.raises(CommandFailure) as failed:
        _client("http://127.0.0.1:1", tmp_path).job("j00-1")
    assert (failed.value.code, failed.value.exit_code) == ("GATEWAY_UNREACHABLE", ExitCode.UNREACHABLE)


def test_upload_is_refused_while_it_is_being_sent(tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(64 * 2**20)
    problem = b'{"code":"UPLOAD_TOO_LARGE","detail":"too large"}'
    with breaking_server(lambda request: request.reply(413, problem)) as url, pytest.raises(CommandFailure) as failed:
        _client(url, tmp_path).upload(large, large.stat().st_size, _ignore)
    assert failed.value.code == "UPLOAD_TOO_LARGE"


def _sse(kind: str, rev: int, data: object) -> bytes:
    envelope = json.dumps({"id": f"e.{rev}-0", "type": kind, "job": "j00-1", "rev": rev, "data": data})
    return f"id: e.{rev}-0\nevent: {kind}\ndata: {envelope}\n\n".encode()


def test_watch_goes_on_after_the_last_event_it_saw(tmp_path: Path) -> None:
    cursors: list[str | None] = []
    first = b"retry: 10\nid: e.0-0\ndata:\n\n" + _sse("snapshot", 1, _JOB) + _sse("job.started", 2, {"stage": "ingest"})
    second = (
        b"event: heartbeat\ndata: {}\n\n"
        + _sse("job.stage", 3, {"done": "ingest", "next": "fetch"})
        + _sse("job.completed", 4, {"outputs": []})
        + b"event: end\ndata: {}\n\n"
    )

    def answer(request: Request) -> None:
        cursors.append(request.headers["Last-Event-ID"])
        # The first answer ends in the middle of an event, which must not be shown.
        body = first + b"id: e.3-0\nevent: job.stage\nda" if len(cursors) == 1 else second
        request.reply(200, body, length=len(body) + 1, Content_Type="text/event-stream")

    with breaking_server(answer) as url:
        seen = [event.type for event in watch(_client(url, tmp_path), "j00-1")]
    assert seen == ["snapshot", "job.started", "heartbeat", "job.stage", "job.completed"]
    assert cursors == [None, "e.2-0"]


def test_watch_of_a_job_that_ended_before_is_over_at_once(tmp_path: Path) -> None:
    def answer(request: Request) -> None:
        request.send_response(204)
        request.end_headers()

    with breaking_server(answer) as url:
        assert list(watch(_client(url, tmp_path), "j00-1")) == []


@pytest.mark.parametrize(
    ("url", "path"),
    [("/v1/a?b=c", "/v1/a?b=c"), ("http://elsewhere:1/v1/a", "/v1/a"), ("v1/a", "/v1/a")],
)
def test_output_address_stays_on_the_gateway(url: str, path: str) -> None:
    assert relative_path(url) == path
