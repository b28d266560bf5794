"""Who looks after many jobs, and what it does when this process was stopped; and how running jobs are counted."""

import asyncio
from typing import Any

import pytest

from actors.kernel.items import Pulse
from actors.kernel.telemetry import RUNNING, StageTelemetry
from actors.kernel.watchdog import LOOK_S, Watchdog
from tests.kernel.stages import forever
from tests.kernel.workplace import Workplace


async def test_one_timer_looks_after_all_jobs_and_none_after_none(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = 0
    place = Workplace(forever)
    watchdog = Watchdog(place.running, 60.0)
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def counted(*arguments: Any, **options: Any) -> asyncio.TimerHandle:
        nonlocal timers
        timers += 1
        return call_later(*arguments, **options)

    monkeypatch.setattr(loop, "call_later", counted)
    for number in range(20):
        place.run(f"j00-{number}")
        watchdog.begin()
    assert timers == 1
    for execution in list(place.running.values()):
        execution.on_pulse(Pulse.FENCED)
    monkeypatch.undo()
    await place.until_ended()
    watchdog.stop()
    watchdog._look()
    assert watchdog._timer is None, "nothing is left to look after"


async def test_the_watchdog_stops_only_what_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr("actors.kernel.watchdog.time.monotonic", lambda: now_s)
    place = Workplace(forever)
    moving, standing, new = (place.run(f"j00-{name}") for name in ("moving", "standing", "new"))
    for execution, moved_at_s in ((moving, 1008.5), (standing, 1000.0), (new, 1009.9)):
        execution.task.moved_at_s = moved_at_s
    watchdog = Watchdog(place.running, 10.0)
    for at_s in (1000.0, 1009.5, 1010.0):
        now_s = watchdog._look_at_s = at_s
        watchdog._look()
        assert standing.watched == (at_s < 1010.0)
    assert (moving.watched, new.watched) == (True, True)
    monkeypatch.undo()
    watchdog.stop()
    for execution in (moving, new):
        execution.give_back()
    await place.until_ended()


@pytest.mark.parametrize(("overslept_s", "stopped"), [(LOOK_S * 0.9, True), (50.0, False)])
async def test_time_overslept_is_no_stall(monkeypatch: pytest.MonkeyPatch, overslept_s: float, stopped: bool) -> None:
    """A look that comes long after its time says that nothing here could move."""
    now_s = 1000.0
    monkeypatch.setattr("actors.kernel.watchdog.time.monotonic", lambda: now_s)
    place = Workplace(forever)
    execution = place.run()
    execution.task.moved_at_s = now_s
    watchdog = Watchdog(place.running, 1.5)
    watchdog.begin()
    now_s += LOOK_S + overslept_s
    watchdog._look()
    monkeypatch.undo()
    assert execution.watched != stopped
    assert execution.task.moved_at_s <= now_s
    watchdog.stop()
    execution.give_back()
    await place.until_ended()


async def test_running_jobs_of_all_actors_of_a_stage_are_counted() -> None:
    def seen() -> float:
        (metric,) = RUNNING.collect()
        return sum(sample.value for sample in metric.samples if sample.labels["stage"] == "counted")

    counts = [3, 4]
    actors = [StageTelemetry("counted", lambda at=at: counts[at]) for at in range(2)]  # type: ignore[misc]
    assert seen() == 7
    counts[1] = 0
    assert seen() == 3
    for actor in actors:
        actor.close()
    assert seen() == 0
