"""What is told of the logs of role processes."""

from pathlib import Path

from tests.faults.checker.role_logs import grave_lines

LINES = b"""{"level": "info", "event": "stage.ended"}
{"level": "error", "event": "stage.bug", "job": "j1"}
{"level":"ERROR","event":"stage.end_unsent"}
Traceback (most recent call last):
  File "x.py", line 1
KeyError: 1
{"level": "warning", "event": "reaper.delayed"}
{"level": "info", "ev
"""


def test_errors_and_tracebacks_are_told_and_a_line_that_a_kill_cut_is_not(tmp_path: Path) -> None:
    (tmp_path / "media-1.log").write_bytes(LINES)
    (tmp_path / "quiet.log").write_bytes(b"")
    bug, unsent, traceback = grave_lines(tmp_path)
    assert (bug["process"], bug["event"], unsent["event"]) == ("media-1", "stage.bug", "stage.end_unsent")
    assert traceback["text"].splitlines()[-1] == "KeyError: 1"
