"""How a command makes calls: what goes wrong is told as the command tells it, and Ctrl-C ends a call in order."""

import asyncio
import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.settings import Settings
from gateway.client import transport
from gateway.client.documents import Output
from gateway.command.calls import Calls
from gateway.command.connection import Connection
from gateway.command.conversion import save
from gateway.command.failure import CommandFailure, ExitCode
from gateway.command.interrupts import Interrupts
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


class _Held:
    """A gateway that answers the first request when it is let."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.released = threading.Event()

    def answer(self, request: Request) -> None:
        if not self.asked.is_set():
            self.asked.set()
            self.released.wait(20)
        request.reply(200, json.dumps(_JOB).encode())

    @contextmanager
    def signalled(self, number: signal.Signals) -> Iterator[None]:
        """While the first request waits for its answer, a signal comes; then the answer."""

        def send() -> None:
            assert self.asked.wait(20)
            os.kill(os.getpid(), number)
            self.released.set()

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_call_and_the_next_one_works(tmp_path: Path, number: signal.Signals) -> None:
    held = _Held()
    with _calls(held.answer, tmp_path) as calls, Interrupts():
        handler = signal.getsignal(number)
        with held.signalled(number), pytest.raises(KeyboardInterrupt):
            calls.run(_asked_for_ever(calls))
        assert signal.getsignal(number) == handler
        assert calls.run(calls.client.cancel("j00-1")).id == "j00-1"


async def _asked_for_ever(calls: Calls) -> None:
    await calls.client.job("j00-1")
    await asyncio.Event().wait()


def test_ctrl_c_without_a_handler_of_ours(tmp_path: Path) -> None:
    held = _Held()
    with _calls(held.answer, tmp_path) as calls:
        with held.signalled(signal.SIGINT), pytest.raises(KeyboardInterrupt):
            calls.run(_asked_for_ever(calls))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_step_that_is_held_is_known_to_have_happened(tmp_path: Path) -> None:
    held = _Held()
    jobs = []
    with (
        _calls(held.answer, tmp_path) as calls,
        Interrupts() as interrupts,
        held.signalled(signal.SIGINT),
        pytest.raises(KeyboardInterrupt),
        interrupts.held(),
    ):
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
