"""A child of the supervisor: ends with it, starts again, and not too often."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.embedded.child import Child, die_with_parent
from tests.command.waiting import is_alive, wait_for

_PARENT = """
import os, sys, signal
from pathlib import Path
from gateway.embedded.child import Child
child = Child("sleeper", ["sleep", "600"], os.environ, Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
signal.pause()
"""


def test_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.kill()
    parent.wait()
    wait_for(lambda: not is_alive(child), "the child is gone")


def test_child_of_a_parent_that_died_before_it_could_bind_itself_ends(tmp_path: Path) -> None:
    not_the_parent = os.getpid() + 1
    process = subprocess.Popen(["sleep", "600"], preexec_fn=die_with_parent(not_the_parent))
    assert process.wait(10) == 1


def test_child_has_a_process_group_of_its_own(tmp_path: Path) -> None:
    child = Child("sleeper", ["sleep", "600"], os.environ, tmp_path / "log")
    child.start()
    try:
        assert child.pid is not None
        assert os.getpgid(child.pid) == child.pid
    finally:
        child.send(signal.SIGKILL)
        wait_for(child.has_ended, "the child has ended")


def test_child_waits_longer_after_each_quick_end_up_to_two_seconds(tmp_path: Path) -> None:
    child = Child("failing", ["false"], os.environ, tmp_path / "log")
    waits = []
    for _ in range(7):
        child.start()
        wait_for(child.has_ended, "the child has ended")
        waits.append(child.waits_s())
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0], abs=0.05)
    assert child.is_failing
    assert child.last_exit == 1


def test_child_that_ends_once_is_not_called_failing(tmp_path: Path) -> None:
    child = Child("failing", ["false"], os.environ, tmp_path / "log")
    child.start()
    wait_for(child.has_ended, "the child has ended")
    assert not child.is_failing


def test_large_log_is_turned_over(tmp_path: Path) -> None:
    log = tmp_path / "role.log"
    with log.open("wb") as file:
        file.truncate(11 * 2**20)
    child = Child("speaker", ["echo", "hello"], os.environ, log)
    child.start()
    wait_for(child.has_ended, "the child has ended")
    assert log.read_text() == "hello\n"
    assert log.with_suffix(".log.1").stat().st_size == 11 * 2**20
