"""How a command makes calls: what goes wrong is told as the command tells it, and Ctrl-C ends a call in order."""

import asyncio
import hashlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.settings import Settings
from gateway.client import transport
from gateway.client.documents import Job, Output
from gateway.command.calls import Calls
from gateway.command.connection import Connection
from gateway.command.conversion import save
from gateway.command.failure import CommandFailure, ExitCode
from gateway.command.interrupts import Interrupts, held
from gateway.command.target import Target
from tests.command.breaking_server import Answer, Request, breaking_server

_BYTES = bytes(range(256)) * 4096
_OUTPUT = Output("output.mp3", len(_BYTES), hashlib.sha256(_BYTES).hexdigest(), "/v1/jobs/j00-1/outputs/output.mp3")
_JOB = {"id": "j00-1", "state": "queued"}


@contextmanager
def _calls(answer: Answer, folder: Path) -> Iterator[Calls]:
    with breaking_server(answer) as url:
        named = {"REELWAY_URL": url, "REELWAY_KEY": "rw_test"}
        with Connection(Settings(data_dir=folder / "data"), named) as connection, Calls(connection) as calls:
            yield calls


def _ignore(_done: int) -> None:
    pass


def test_a_result_is_taken_up_where_a_killed_command_left_it(tmp_path: Path) -> None:
    target = Target(tmp_path / "out.mp3", replace=False, source=None)
    target.partial("j00-1").write_bytes(_BYTES[:1000])
    ranges: list[str | None] = []

    def answer(request: Request) -> None:
        ranges.append(request.headers["Range"])
        request.reply(206, _BYTES[1000:])

    with _calls(answer, tmp_path) as calls:
        save(calls, "j00-1", _OUTPUT, target, _ignore)
    assert ranges == ["bytes=1000-"]
    assert target.path.read_bytes() == _BYTES
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_damaged_result_is_never_published(tmp_path: Path) -> None:
    target = Target(tmp_path / "out.mp3", replace=False, source=None)
    damaged = b"\1" + _BYTES[1:]
    with _calls(lambda request: request.reply(200, damaged), tmp_path) as calls, pytest.raises(CommandFailure) as told:
        save(calls, "j00-1", _OUTPUT, target, _ignore)
    assert (told.value.code, told.value.exit_code) == ("OUTPUT_DAMAGED", ExitCode.UNREACHABLE)
    assert not target.path.exists()


def test_a_file_that_appeared_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    target = Target(tmp_path / "out.mp3", replace=False, source=None)
    target.path.write_text("somebody else's")
    with _calls(lambda request: request.reply(200, _BYTES), tmp_path) as calls, pytest.raises(CommandFailure) as told:
        save(calls, "j00-1", _OUTPUT, target, _ignore)
    assert (told.value.code, told.value.exit_code) == ("OUTPUT_EXISTS", ExitCode.USAGE)
    assert target.path.read_text() == "somebody else's"


@pytest.mark.parametrize(
    ("status", "exit_code"), [(422, ExitCode.USAGE), (507, ExitCode.UNREACHABLE), (429, ExitCode.UNREACHABLE)]
)
def test_a_refusal_keeps_the_code_and_the_hint_of_the_gateway(tmp_path: Path, status: int, exit_code: ExitCode) -> None:
    problem = b'{"code":"A_CODE","detail":"what and why","suggestion":"what to do"}'
    with (
        _calls(lambda request: request.reply(status, problem, Retry_After="99"), tmp_path) as calls,
        pytest.raises(CommandFailure) as told,
    ):
        calls.run(calls.client.job("j00-1"))
    failure = told.value
    assert failure.exit_code == exit_code
    assert (failure.code, failure.message, failure.suggestion) == ("A_CODE", "what and why", "what to do")


def test_an_absent_gateway_is_told_after_a_short_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_PATIENCE_S", 0.1)
    with _calls(lambda _request: None, tmp_path) as calls, pytest.raises(CommandFailure) as told:
        calls.run(calls.client.job("j00-1"))
    assert (told.value.code, told.value.exit_code) == ("GATEWAY_UNREACHABLE", ExitCode.UNREACHABLE)


async def _interrupted(calls: Calls, number: signal.Signals, told: list[str]) -> None:
    """The signal comes while the loop itself runs, and not this task."""
    await calls.client.job("j00-1")
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
    try:
        await asyncio.Event().wait()
    finally:
        told.append("ended in order")


def _answer(request: Request) -> None:
    request.reply(200, json.dumps(_JOB).encode())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_call_and_the_next_one_works(
    tmp_path: Path, number: signal.Signals, request: pytest.FixtureRequest
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        # As under nohup, where the command leaves it ignored.
        signal.signal(number, signal.SIG_DFL)
        request.addfinalizer(lambda: signal.signal(number, signal.SIG_IGN))
    told: list[str] = []
    with _calls(_answer, tmp_path) as calls, Interrupts():
        handler = signal.getsignal(number)
        with pytest.raises(KeyboardInterrupt):
            calls.run(_interrupted(calls, number, told))
        assert told == ["ended in order"]
        assert signal.getsignal(number) == handler
        assert calls.run(calls.client.cancel("j00-1")).id == "j00-1"


def test_ctrl_c_without_a_handler_of_ours(tmp_path: Path) -> None:
    told: list[str] = []
    with _calls(_answer, tmp_path) as calls:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        with pytest.raises(KeyboardInterrupt):
            calls.run(_interrupted(calls, signal.SIGINT, told))
        assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
        assert told == ["ended in order"]


def test_a_step_that_is_held_is_known_to_have_happened(tmp_path: Path) -> None:
    """The signal comes while the gateway is at it."""
    jobs: list[Job] = []

    def answer(request: Request) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        _answer(request)

    with _calls(answer, tmp_path) as calls, Interrupts(), pytest.raises(KeyboardInterrupt), held():
        jobs.append(calls.run(calls.client.submit("https://a.example/b", "mp3")))
    assert [job.id for job in jobs] == ["j00-1"]


def test_a_signal_between_two_events_ends_the_watch_in_order(tmp_path: Path) -> None:
    data = json.dumps({"id": "e.1-0", "type": "snapshot", "job": "j00-1", "rev": 1, "data": _JOB})
    frame = f"retry: 1\nid: e.1-0\nevent: snapshot\ndata: {data}\n\n".encode()
    with _calls(lambda request: request.reply(200, frame, Content_Type="text/event-stream"), tmp_path) as calls:
        with Interrupts(), pytest.raises(KeyboardInterrupt):
            _signal_at_each_event(calls)
        assert next(calls.each(calls.client.watch("j00-1"))).type == "snapshot"


def _signal_at_each_event(calls: Calls) -> None:
    for _ in calls.each(calls.client.watch("j00-1")):
        os.kill(os.getpid(), signal.SIGTERM)
