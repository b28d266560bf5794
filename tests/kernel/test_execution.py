"""One job in one worker without a server: what ends its lease, whatever its handler does when it is stopped."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import structlog

from actors.kernel import Commit, Done, End, Fail, Next, Release, Result, Split, Task, Transient
from actors.kernel.execution import CANCELLING, STOPPING, Execution
from actors.kernel.gather import Gather
from actors.kernel.items import Pulse
from tests.kernel.stages import done, eventually, forever
from tests.kernel.workplace import Workplace, settle


async def swallow(task: Task) -> Result:
    """Ends with a result when it is cancelled."""
    try:
        return await forever(task)
    except asyncio.CancelledError:
        return Done(b"{}")


STOPS: dict[str, Callable[[Execution], None]] = {
    "cancel": lambda execution: execution.on_pulse(Pulse.CANCEL),
    "give_back": Execution.give_back,
    "stalled": Execution.stalled,
    "fenced": lambda execution: execution.on_pulse(Pulse.FENCED),
    "deadline": lambda execution: execution.on_pulse(Pulse.DEADLINE),
}


@pytest.mark.parametrize(
    ("stop", "ends"),
    [
        ("cancel", [Release("j00-x", "1.n", CANCELLING)]),
        ("give_back", [Release("j00-x", "1.n", STOPPING)]),
        ("stalled", [Fail("j00-x", "1.n", "stalled", 1, 3, b'{"code":"STALLED"}', b'{"code":"STALLED"}')]),
        ("fenced", []),
        ("deadline", []),
    ],
)
async def test_a_stopped_job_ends_as_its_reason_says(stop: str, ends: list[object]) -> None:
    place = Workplace(forever)
    execution = place.run()
    await settle()
    STOPS[stop](execution)
    await place.until_ended()
    assert (place.sent, execution.task.cancelled.is_set(), len(place.ended)) == (ends, True, 1)


@pytest.mark.parametrize(("stop", "commits"), [("cancel", 1), ("give_back", 1), ("stalled", 1), ("fenced", 0)])
async def test_a_result_of_a_handler_that_swallows_its_cancellation_counts(stop: str, commits: int) -> None:
    place = Workplace(swallow)
    execution = place.run()
    await settle()
    STOPS[stop](execution)
    await place.until_ended()
    assert [type(end) for end in place.sent] == [Commit] * commits


async def test_the_first_reason_to_stop_counts() -> None:
    place = Workplace(forever)
    execution = place.run()
    await settle()
    for stop in ("give_back", "cancel", "fenced"):
        STOPS[stop](execution)
    await place.until_ended()
    assert place.sent == [Release("j00-x", "1.n", STOPPING)]


async def test_a_pulse_that_says_nothing_stops_nothing() -> None:
    place = Workplace(forever)
    execution = place.run()
    for pulse in (Pulse.OK, Pulse.ERROR):
        execution.on_pulse(pulse)
    await settle()
    assert execution.watched
    execution.give_back()
    await place.until_ended()


async def test_who_listens_to_cancelled_may_act_before_it_is_cancelled() -> None:
    """Also through a task in between, which takes a turn more."""
    heard: list[str] = []

    async def work(task: Task) -> Result:
        await asyncio.create_task(task.cancelled.wait())
        heard.append("told")
        try:
            return await forever(task)
        finally:
            heard.append("cancelled")

    place = Workplace(work)
    execution = place.run()
    await settle()
    execution.give_back()
    await place.until_ended()
    assert heard == ["told", "cancelled"]


async def test_a_handler_that_ends_by_itself_when_it_is_told_is_not_cancelled() -> None:
    async def work(task: Task) -> Result:
        await task.cancelled.wait()
        return Done(b'{"r":1}')

    place = Workplace(work)
    execution = place.run()
    await settle()
    execution.on_pulse(Pulse.CANCEL)
    await place.until_ended()
    assert place.sent == [Commit("j00-x", "1.n", "done", "", "", b'{"r":1}')]


async def test_a_handler_that_does_not_end_is_abandoned_after_the_grace_and_its_end_is_still_sent() -> None:
    finish = asyncio.Event()

    async def stubborn(task: Task) -> Result:
        while not finish.is_set():
            try:
                await finish.wait()
            except asyncio.CancelledError:
                continue
        return Done(b"{}")

    place = Workplace(stubborn, kill_grace_s=0.02)
    execution = place.run()
    await settle()
    with structlog.testing.capture_logs() as logs:
        execution.stalled()
        await settle()
        assert place.abandoned == []
        await eventually(lambda: _are(place.abandoned))
    assert [entry["event"] for entry in logs] == ["stage.unstoppable"]
    assert (place.abandoned, place.ended) == ([execution.task], [])
    finish.set()
    await place.until_ended()
    assert [type(end) for end in place.sent] == [Commit]


@pytest.mark.parametrize(
    ("result", "commit"),
    [
        (
            Next("b", b"1", ("x",), "gpu", True),
            Commit("j00-x", "1.n", "next", "b", "gpu", b"1", ("x",), b"{}", None, True),
        ),
        (Split("b", b"1", reach=50.0), Commit("j00-x", "1.n", "split", "b", "cpu", b"1", (), b"{}", None, False, 50.0)),
        (Done(b"1", b"2"), Commit("j00-x", "1.n", "done", "", "", b"1", (), b"2")),
    ],
)
async def test_each_result_is_committed(result: Result, commit: Commit) -> None:
    async def work(task: Task) -> Result:
        return result

    place = Workplace(work)
    place.run()
    await place.until_ended()
    assert place.sent == [commit]


@pytest.mark.parametrize("wrong", [KeyError("x"), Transient("X"), asyncio.CancelledError()])
async def test_a_failure_is_sent_as_one(wrong: BaseException) -> None:
    async def work(task: Task) -> Result:
        raise wrong

    place = Workplace(work)
    place.run()
    await place.until_ended()
    assert [type(end) for end in place.sent] == [Fail]


async def test_an_end_that_cannot_be_sent_is_told_and_ends_the_job_here() -> None:
    place = Workplace(done, refusal=ValueError("refused"))
    with structlog.testing.capture_logs() as logs:
        place.run()
        await place.until_ended()
    assert [(entry["event"], entry["log_level"]) for entry in logs if entry["event"] != "end.unheard"] == [
        ("stage.end_unsent", "error")
    ]
    assert len(place.ended) == 1


async def test_a_running_job_has_one_task_and_no_timer() -> None:
    place = Workplace(forever)
    before = len(asyncio.all_tasks())
    executions = [place.run(f"j00-{number}") for number in range(20)]
    await settle()
    assert len(asyncio.all_tasks()) == before + 20
    for execution in executions:
        execution.give_back()
    await place.until_ended()


async def test_jobs_that_end_in_one_turn_travel_in_one_call() -> None:
    go_on = asyncio.Event()
    calls: list[int] = []

    async def work(task: Task) -> Result:
        await go_on.wait()
        return Done(b"{}")

    async def send(partition: str, items: Sequence[Any]) -> list[End]:
        calls.append(len(items))
        return [End.OK for _ in items]

    place = Workplace(work)
    place.setting.ends.commit = Gather(send)
    for number in range(30):
        place.run(f"j00-{number}")
    await settle()
    go_on.set()
    await place.until_ended()
    assert calls == [30]


async def _are(found: Sequence[object]) -> bool:
    return bool(found)
