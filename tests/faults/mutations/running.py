"""Runs named tests in the copy, bounded in time, and says which of them failed."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.faults.mutations.witness import REPORT, Outcomes

TEST_TIMEOUT_S = 45
"""One test's own deadline: a mutation that makes a test hang is caught by it."""
MOST_S = 300.0
"""For a whole run, where a build may come first. Beyond it nothing is known, so nothing is caught."""
_NATIVE = re.compile(r"native/crates/(\w+)/(?:tests/(\w+)|src/[\w/]+)\.rs::(\w+)")
_NATIVE_OUTCOME = re.compile(r"^test (?:[\w:]+::)?(\w+) \.\.\. (ok|FAILED|ignored)", re.MULTILINE)


class NoOutcome(Exception):
    """The run says nothing about its tests: it took too long, did not build, or does not know a test."""


def run_tests(copy: Path, cargo: Path, tests: Sequence[str], *, first_only: bool, most_s: float = MOST_S) -> list[str]:
    """The tests that failed; with `first_only` one at most. `cargo`: where its builds are kept. Raises NoOutcome."""
    native = [test for test in tests if test.startswith("native/")]
    failed: list[str] = []
    if others := [test for test in tests if test not in native]:
        failed += _run_pytest(copy, others, first_only, most_s)
    if native and not (failed and first_only):
        failed += _run_cargo(copy, cargo, native, most_s)
    return failed[:1] if first_only else failed


def _run_pytest(copy: Path, tests: Sequence[str], first_only: bool, most_s: float) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="rw-mutations-") as folder:
        report = Path(folder) / "outcomes.json"
        command = [
            sys.executable, "-m", "pytest", *(["-x"] if first_only else []), "-q", "--color=no", "--tb=short",
            "-p", "no:cacheprovider", "-p", "tests.faults.mutations.witness", "-m", "", f"--timeout={TEST_TIMEOUT_S}",
            *tests,
        ]  # fmt: skip
        environment = {REPORT: str(report), "PYTHONPATH": str(copy)}
        status, output = _run(command, copy, environment, most_s)
        if status not in (0, 1) or not report.is_file():
            raise NoOutcome(f"pytest ended with {status}:\n{_tail(output)}")
        outcomes = msgspec.json.decode(report.read_bytes(), type=Outcomes)
    if outcomes.skipped and not outcomes.failed:
        raise NoOutcome(f"skipped: {', '.join(outcomes.skipped)}")
    return list(dict.fromkeys(outcomes.failed))


def _run_cargo(copy: Path, cargo: Path, tests: Sequence[str], most_s: float) -> list[str]:
    """One call for each program of tests."""
    programs: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for test in tests:
        if (named := _NATIVE.fullmatch(test)) is None:
            raise NoOutcome(f"no test of cargo: {test}")
        package, program, name = named.groups()
        programs[("-p", f"reelway-{package}", *(("--test", program) if program else ("--lib",)))][name] = test
    failed: list[str] = []
    for which, names in programs.items():
        command = ["cargo", "test", "--locked", "--quiet", *which, "--", "--format=pretty", "--test-threads=1", *names]
        status, output = _run(command, copy / "native", {"CARGO_TARGET_DIR": str(cargo)}, most_s)
        outcomes = dict(_NATIVE_OUTCOME.findall(output))
        if "test result:" not in output or (unknown := names.keys() - outcomes.keys()):
            why = f"does not know {', '.join(unknown)}" if "test result:" in output else f"ended with {status}"
            raise NoOutcome(f"{' '.join(command)} {why}:\n{_tail(output)}")
        failed += [test for name, test in names.items() if outcomes[name] != "ok"]
    return failed


def _run(command: Sequence[str], folder: Path, environment: dict[str, str], most_s: float) -> tuple[int, str]:
    """Status and output. What is left of its process group and its temporary files goes. Raises NoOutcome."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryDirectory(prefix="rw-m-", ignore_cleanup_errors=True) as temporary,
    ):
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=kept | environment | {"TMPDIR": temporary},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise NoOutcome(f"{command[0]} is not installed") from error
        try:
            status = process.wait(most_s)
        except subprocess.TimeoutExpired as error:
            raise NoOutcome(f"no end after {most_s:.0f} s: {' '.join(command)}") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return status, output.read().decode(errors="replace")


def _tail(output: str) -> str:
    return "\n".join(output.splitlines()[-25:])
