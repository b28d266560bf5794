"""What a person sees of a job: every stage once, in order, never backwards."""

import pytest

from gateway.client.documents import Job, Progress, Reason
from gateway.command.following import StageView
from gateway.command.progress import Lines, byte_speed, time_left


class Recorder(Lines):
    """Keeps what would be drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[tuple[str, str, float]] = []
        self.notes: list[str] = []

    def show(self, stage: str, fraction: float, speed: str = "", eta_s: float | None = None) -> None:
        self.drawn.append(("show", stage, round(fraction, 3)))

    def finish(self, stage: str) -> None:
        self.drawn.append(("finish", stage, 1.0))

    def note(self, text: str) -> None:
        self.notes.append(text)


def _job(stage: str | None, percent: float, source: str = "https://a/b", state: str = "running") -> Job:
    return Job(id="j00-1", state=state, stage=stage, progress=Progress(percent, stage), source=source)


def test_percent_of_the_job_becomes_percent_of_the_stage() -> None:
    seen = Recorder()
    view = StageView(seen)
    view.job(_job("fetch", 18.5))
    assert seen.drawn[-1] == ("show", "fetch", 0.5)
    view.progress(Progress(35.0, "fetch"))
    assert seen.drawn[-1] == ("show", "fetch", 1.0)


def test_upload_gives_most_of_the_job_to_transcode() -> None:
    seen = Recorder()
    StageView(seen).job(_job("transcode", 51.5, source="upload:u00-1"))
    assert seen.drawn[-1] == ("show", "transcode", 0.5)


def test_late_watcher_sees_earlier_stages_as_done() -> None:
    seen = Recorder()
    StageView(seen).job(_job("transcode", 35.0))
    assert [entry for entry in seen.drawn if entry[0] == "finish"] == [
        ("finish", "ingest", 1.0),
        ("finish", "fetch", 1.0),
    ]


def test_completed_job_shows_every_stage_done_once() -> None:
    seen = Recorder()
    view = StageView(seen)
    view.job(_job("fetch", 2.0))
    view.end(completed=True)
    done = [stage for what, stage, _ in seen.drawn if what == "finish"]
    assert done == ["ingest", "fetch", "transcode", "store"]


def test_progress_of_another_stage_is_not_drawn() -> None:
    seen = Recorder()
    view = StageView(seen)
    view.job(_job("transcode", 35.0))
    before = list(seen.drawn)
    view.progress(Progress(20.0, "fetch"))
    assert seen.drawn == before


def test_reason_is_said_once() -> None:
    seen = Recorder()
    view = StageView(seen)
    for _ in range(3):
        view.reason(Reason("RATE_LIMITED", "The site limits how often it may be read."))
    view.reason(None)
    view.reason(Reason("WORKER_LOST", "The worker was lost."))
    assert seen.notes == [
        "The site limits how often it may be read. [RATE_LIMITED]",
        "The worker was lost. [WORKER_LOST]",
    ]


@pytest.mark.parametrize(
    ("bytes_per_s", "text"), [(None, ""), (0, ""), (999, "999.0 B/s"), (12_345_678, "12.3 MB/s"), (2e9, "2.0 GB/s")]
)
def test_speed(bytes_per_s: float | None, text: str) -> None:
    assert byte_speed(bytes_per_s) == text


@pytest.mark.parametrize(("eta_s", "text"), [(None, ""), (7.4, "0:07 left"), (67, "1:07 left"), (3667, "1:01:07 left")])
def test_time_left(eta_s: float | None, text: str) -> None:
    assert time_left(eta_s) == text


def test_lines_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for percent in range(100):
        lines.show("fetch", percent / 100, "1.0 MB/s", 3)
    lines.finish("fetch")
    assert capsys.readouterr().err == "fetch        0%  1.0 MB/s  0:03 left\nfetch      done\n"
