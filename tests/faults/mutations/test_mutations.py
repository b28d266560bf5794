"""The command that removes guards, on a sample: it sees what is caught, and what is not."""

import contextlib
import os
import random
from pathlib import Path

import psutil
import pytest

from tests.faults.mutations.__main__ import check
from tests.faults.mutations.catalogue import BY_NAME, MUTATIONS
from tests.faults.mutations.checkout import Copy
from tests.faults.mutations.guards.places import PARTS, vector
from tests.faults.mutations.mutation import Mutation
from tests.faults.mutations.running import NoOutcome, run_tests

SEED = 20261121
HARMLESS = Mutation(
    name="harmless",
    guard="none: the order of two assignments",
    file=f"{PARTS}/end_lease.lua",
    old="  leave(job)\n  job.ended = verb .. ' ' .. job.fence\n",
    new="  job.ended = verb .. ' ' .. job.fence\n  leave(job)\n",
    tests=(vector("commit: done completes"),),
)
"""Removes nothing, so nobody can notice."""

PROBES = """
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ORIGIN = "import actors.kernel, gateway; print(actors.kernel.__file__, gateway.__file__)"


def test_a_child_imports_the_copy():
    for folder, program in (("/", ["-c", ORIGIN]), ("/", ["-P", "-c", ORIGIN])):
        found = subprocess.run([sys.executable, *program], cwd=folder, capture_output=True, text=True, check=True)
        assert all(Path(name).is_relative_to(HERE) for name in found.stdout.split()), found.stdout


def test_something_is_left():
    left = subprocess.Popen(["sleep", "600"])
    (HERE / "left").write_text(str(left.pid))


def test_it_fails():
    raise AssertionError
"""


def test_some_guards_are_missed_and_a_harmless_change_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = [mutation for mutation in MUTATIONS if all(test.startswith(vector("")[:-2]) for test in mutation.tests)]
    sample = [*random.Random(SEED).sample(quick, 2), BY_NAME["continuity-gap"]]
    assert check(sample, tmp_path) == 0
    said = capsys.readouterr().out
    assert all(f"  <-  {mutation.tests[0]}" in said for mutation in sample), said
    assert check([HARMLESS], tmp_path) == 1
    assert "Not caught: harmless" in capsys.readouterr().out


def test_a_run_is_of_the_copy_and_leaves_nothing(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "copy")
    copy.make()
    (copy.folder / "test_probes.py").write_text(PROBES)
    assert run_tests(copy.folder, tmp_path, ["test_probes.py"], first_only=False) == ["test_probes.py::test_it_fails"]
    left = int((copy.folder / "left").read_text())
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(left).wait(10)


def test_a_run_that_says_nothing_is_no_success(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "copy")
    copy.make()
    with pytest.raises(NoOutcome, match="ended with 4"):
        run_tests(copy.folder, tmp_path, ["tests/kernel/test_turns.py::test_that_is_not_there"], first_only=True)
    with pytest.raises(NoOutcome, match="no end after"):
        run_tests(copy.folder, tmp_path, ["tests/kernel/test_turns.py"], first_only=True, most_s=0.1)


def test_what_is_removed_comes_back(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "copy")
    copy.make()
    path, other = copy.folder / HARMLESS.file, copy.folder / "pyproject.toml"
    before, others_s = path.read_text(), other.stat().st_mtime
    times = [path.stat().st_mtime]
    for _ in range(2):
        with copy.without(HARMLESS):
            assert HARMLESS.new in path.read_text()
            times.append(path.stat().st_mtime)
        assert path.read_text() == before
        times.append(path.stat().st_mtime)
    # As if a run had been killed in the middle.
    path.write_text("broken")
    os.utime(path, (times[-1], times[-1]))
    (copy.folder / "left.py").touch()
    copy.make()
    assert path.read_text() == before
    assert not (copy.folder / "left.py").exists()
    times.append(path.stat().st_mtime)
    assert times == sorted(set(times)), "each version is newer than the one before"
    assert other.stat().st_mtime == others_s, "what is the same is not built again"
