"""Systems under test: what their folders say, their environments, their processes and their reports."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bench.systems import environments, system
from bench.systems.process import Broken, Late, Reports, Running, Settings, start
from bench.systems.system import INSIDE, Modes, System

WITH_ENVIRONMENT = [name for name in system.names() if system.load(name).language != "this"]


def toy(folder: Path, language: str = "python") -> System:
    """A system that is nothing but a folder."""
    told = dict.fromkeys(("settings", "acknowledged", "recovery", "fence", "events", "results", "source"), "x")
    words = ("python", "program.py")
    return System(name="toy", language=language, worker=words, client=words, modes=Modes(), folder=folder, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", system.names())
def test_what_a_system_says_is_complete(name: str) -> None:
    found = system.load(name)
    for field in ("settings", "acknowledged", "recovery", "fence", "events", "results", "source"):
        assert getattr(found, field).strip(), field
    assert found.modes.chain_how or not found.runs("chain")
    assert all(each.what for each in found.variants.values())
    for word in (*found.worker, *found.client):
        if word.endswith((".py", ".js", ".mjs", ".cjs")):
            assert (found.folder / word).is_file()


@pytest.mark.parametrize("name", WITH_ENVIRONMENT)
def test_every_version_is_exact_and_nothing_names_a_server(name: str) -> None:
    found = system.load(name)
    wanted = environments.required(found)
    assert wanted
    for package, version in wanted.items():
        assert re.fullmatch(r"\d+(\.\w+)+", version), package
    text = (found.folder / environments.REQUIREMENTS[found.language]).read_text()
    assert "://" not in text
    assert "--" not in text
    assert not [each.name for each in found.folder.iterdir() if "lock" in each.name]
    if "redis" in wanted:
        assert "hiredis" in wanted


def test_a_system_that_is_not_there_or_not_right_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="there is no system 'nothing'"):
        system.load("nothing")
    monkeypatch.setattr(system, "FOLDER", tmp_path)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "system.toml").write_text('name = "odd"\nspeed = 3\n')
    with pytest.raises(ValueError, match=r"odd/system\.toml"):
        system.load("odd")


@pytest.fixture
def python_system(tmp_path: Path) -> System:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "requirements.txt").write_text("redis==8.1.0\nsaq[redis]==0.26.4 # a word\n\n")
    return toy(tmp_path / "toy")


def test_an_environment_is_made_once_for_each_requirement_file(
    python_system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def make(_system: System, folder: Path) -> None:
        assert sorted(each.name for each in folder.iterdir()) == [environments.MARK]
        (folder / "old").touch()
        made.append(folder)

    monkeypatch.setattr(environments, "_install_python", make)
    said: list[str] = []
    for _ in range(2):
        environments.install(python_system, tmp_path / "all", said.append)
        assert environments.is_installed(python_system, tmp_path / "all")
    assert made == [tmp_path / "all" / "toy"]
    (python_system.folder / "requirements.txt").write_text("redis==8.2.0\n")
    assert not environments.is_installed(python_system, tmp_path / "all")
    environments.install(python_system, tmp_path / "all", said.append)
    assert len(made) == len(said) == 2


def test_a_half_made_environment_is_made_again(
    python_system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_system: System, _folder: Path) -> None:
        raise environments.InstallError("no network")

    monkeypatch.setattr(environments, "_install_python", fail)
    for _ in range(2):
        with pytest.raises(environments.InstallError, match="no network"):
            environments.install(python_system, tmp_path / "all", lambda _line: None)
        assert not environments.is_installed(python_system, tmp_path / "all")


def test_a_folder_of_somebody_else_is_never_removed(python_system: System, tmp_path: Path) -> None:
    (tmp_path / "all" / "toy").mkdir(parents=True)
    (tmp_path / "all" / "toy" / "letters").touch()
    with pytest.raises(environments.InstallError, match="in the way"):
        environments.install(python_system, tmp_path / "all", lambda _line: None)
    assert (tmp_path / "all" / "toy" / "letters").exists()


def test_requirements_are_read(python_system: System) -> None:
    assert environments.required(python_system) == {"redis": "8.1.0", "saq": "0.26.4"}


def test_nothing_of_ours_reaches_a_system_of_its_own(python_system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("NODE_PATH", "/ours")
    given = environments.variables(python_system, Path("/all"))
    assert given["PYTHONPATH"] == str(INSIDE)
    assert "NODE_PATH" not in given
    assert given["PATH"].split(os.pathsep)[0] == "/all/toy/bin"
    given = environments.variables(toy(Path("/toy"), "node"), Path("/all"))
    assert given["NODE_PATH"] == "/all/toy/node_modules"
    assert "PYTHONPATH" not in given


@pytest.fixture
def reports() -> Iterator[Reports]:
    with Reports() as each:
        yield each


Runs = Callable[[str], Running]


@pytest.fixture
def run(reports: Reports) -> Iterator[Runs]:
    """Starts a Python program that can `tell(event)`; everything is ended after the test."""
    started: list[Running] = []
    telling = (
        "import json, os, subprocess, sys, time\n"
        "fifo = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)\n"
        "def tell(event, **said):\n"
        "    os.write(fifo, json.dumps({'event': event, **said}).encode() + b'\\n')\n"
    )

    def begin(program: str) -> Running:
        words = [sys.executable, "-c", telling + program, reports.path]
        started.append(Running(words, reports.folder, dict(os.environ), reports.folder / f"{len(started)}.log"))
        return started[-1]

    yield begin
    for each in started:
        each.kill()


def is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_lines_of_several_programs_do_not_mix(reports: Reports, run: Runs) -> None:
    for letter in "abc":
        run(f"for number in range(500): tell('line', number=number, filler='{letter}' * 3000)")
    lines = reports.wait("line", 1500, timeout_s=30)
    for letter in "abc":
        assert [each["number"] for each in lines if each["filler"] == letter * 3000] == list(range(500))


def test_reports_are_waited_for_with_a_limit(reports: Reports, run: Runs) -> None:
    program = run("print('what I did', flush=True)\ntell('one', pid=os.getpid())\ntime.sleep(60)")
    assert reports.wait("one", needed=program) == [{"event": "one", "pid": program.pid}]
    with pytest.raises(Late, match="what I did"):
        reports.wait("one", 2, timeout_s=0.1)


def test_a_program_that_is_needed_and_has_ended_is_told_of(reports: Reports, run: Runs) -> None:
    program = run("tell('last')\nsys.exit('I cannot go on')")
    with pytest.raises(Broken, match="I cannot go on"):
        reports.wait("more", timeout_s=30, needed=program)
    assert reports.wait("last", needed=program)
    assert program.wait(timeout_s=5) == 1


def test_the_folder_of_the_reports_goes_with_them(tmp_path: Path) -> None:
    with Reports() as reports:
        assert reports.folder.is_dir()
    assert not reports.folder.exists()


def test_everything_that_was_started_is_killed_even_in_a_group_of_its_own(reports: Reports, run: Runs) -> None:
    program = run(
        "child = subprocess.Popen(['sleep', '60'], process_group=0)\ntell('up', child=child.pid)\ntime.sleep(60)"
    )
    child = reports.wait("up")[0]["child"]
    assert is_there(child)
    assert program.is_running()
    program.kill()
    assert not is_there(child)
    assert not is_there(program.pid)
    assert not program.is_running()


def test_a_child_that_outlives_its_parent_is_ended_as_well(reports: Reports, run: Runs) -> None:
    program = run("child = subprocess.Popen(['sleep', '60'])\ntell('up', child=child.pid)")
    child = reports.wait("up")[0]["child"]
    assert program.wait(timeout_s=10) == 0
    assert not is_there(child)


def test_a_program_may_end_in_its_own_way(reports: Reports, run: Runs) -> None:
    polite = run(
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: (tell('bye'), sys.exit(3)))\n"
        "tell('up')\ntime.sleep(60)"
    )
    reports.wait("up")
    polite.stop()
    assert reports.wait("bye")
    deaf = run("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntell('up')\ntime.sleep(60)")
    reports.wait("up", 2)
    deaf.stop(timeout_s=0.1)
    assert not deaf.is_running()


def test_a_signal_reaches_every_process(reports: Reports, run: Runs) -> None:
    program = run("child = subprocess.Popen(['sleep', '60'])\ntell('up', child=child.pid)\ntime.sleep(60)")
    child = reports.wait("up")[0]["child"]
    program.signal(signal.SIGSTOP)
    deadline = time.monotonic() + 10
    for pid in (program.pid, child):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline


def test_processor_time_counts_children_that_have_ended_and_stays_after_the_end(reports: Reports, run: Runs) -> None:
    # 0.25 s each: of every process the kernel rounds user and system time down to whole ticks of 10 ms, so both
    # together read as 0.44 s at least, and one alone with the beginning of the program as less than 0.4 s.
    busy = "import time\nuntil = time.process_time() + 0.25\nwhile time.process_time() < until: pass"
    program = run(
        f"subprocess.run([sys.executable, '-c', {busy!r}])\n"
        f"living = subprocess.Popen([sys.executable, '-c', {busy + chr(10)!r} + 'time.sleep(60)'], process_group=0)\n"
        "tell('up')\ntime.sleep(60)"
    )
    reports.wait("up", timeout_s=30)
    deadline = time.monotonic() + 30
    while program.processor_s() < 0.4:
        assert time.monotonic() < deadline
    before_s = program.processor_s()
    program.kill()
    assert before_s - 0.02 <= program.processor_s() < before_s + 1


def settings(reports: Reports, jobs: int) -> Settings:
    return Settings(redis="redis://127.0.0.1:1/0", mode="noop", jobs=jobs, report=reports.path)


def test_a_system_is_told_what_to_do_and_counts_in_every_process(reports: Reports, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        f"import sys; sys.path.insert(0, {str(INSIDE)!r})\n"
        "import json, os, reporting\n"
        "reporting.ready()\n"
        "child = os.fork()\n"
        "for _ in range(3 if child else 2):\n"
        "    reporting.COUNTER.began()\n"
        "    reporting.COUNTER.ended()\n"
        "reporting.tell('told', **json.loads(os.environ['BENCH']))\n"
        "import time; time.sleep(60)\n"
    )
    wanted = settings(reports, jobs=3)
    with start(toy(tmp_path, "this"), Path("/nowhere"), "worker", wanted) as worker:
        assert reports.wait("ready", needed=worker) == [{"event": "ready", "pid": worker.pid}]
        told = reports.wait("told", needed=worker)[0]
        assert told == {**msgspec.to_builtins(wanted), "event": "told"}

        def totals(seen: list[dict[str, int]]) -> dict[int, int] | None:
            last = {each["process"]: each["jobs"] for each in seen if each["event"] == "ended"}  # type: ignore[comparison-overlap]
            return last if sum(last.values()) == 5 else None

        # The child's two are fewer than all, and are told a moment later without another job to tell them.
        assert sorted(reports.until(totals, timeout_s=10, needed=worker).values()) == [2, 3]
    assert [each.name for each in reports.folder.glob("toy-worker-*.log")]
