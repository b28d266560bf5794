"""The wheel holds what the program needs, with and without cargo, and a change of what is compiled builds it again."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "reelway-transcode"


def build(out: Path, *, path: Path | None, mode: str, target: str = "wheel") -> subprocess.CompletedProcess[str]:
    """Builds a wheel in this environment. `path`: the only folder where programs are found; None: as everywhere."""
    environment = {**os.environ, "REELWAY_NATIVE": mode}
    if path is not None:
        environment["PATH"] = str(path)
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def only_wheel(out: Path) -> Path:
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture
def no_cargo(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def failing_cargo(no_cargo: Path) -> Path:
    cargo = no_cargo / "cargo"
    cargo.write_text("#!/bin/sh\nexit 101\n", "utf-8")
    cargo.chmod(0o755)
    return no_cargo


def test_without_cargo_it_builds_and_says_what_is_missing(tmp_path: Path, no_cargo: Path) -> None:
    built = build(tmp_path / "dist", path=no_cargo, mode="auto")
    assert built.returncode == 0, built.stderr
    assert PROGRAM in built.stdout + built.stderr
    wheel = only_wheel(tmp_path / "dist")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith(PROGRAM)]


def test_a_failing_cargo_does_not_stop_the_installation(tmp_path: Path, failing_cargo: Path) -> None:
    built = build(tmp_path / "dist", path=failing_cargo, mode="auto")
    assert built.returncode == 0, built.stderr
    assert PROGRAM in built.stdout + built.stderr


def test_required_means_required(tmp_path: Path, no_cargo: Path) -> None:
    built = build(tmp_path / "dist", path=no_cargo, mode="require")
    assert built.returncode != 0
    assert not list((tmp_path / "dist").glob("*.whl"))


def test_an_unknown_mode_is_refused(tmp_path: Path, no_cargo: Path) -> None:
    built = build(tmp_path / "dist", path=no_cargo, mode="sometimes")
    assert built.returncode != 0
    assert "auto, require, off" in built.stdout + built.stderr


def test_off_does_not_call_cargo(tmp_path: Path, failing_cargo: Path) -> None:
    (failing_cargo / "cargo").write_text(f"#!/bin/sh\n: > {tmp_path}/called\nexit 101\n", "utf-8")
    assert build(tmp_path / "dist", path=failing_cargo, mode="off").returncode == 0
    assert not (tmp_path / "called").exists()


def test_the_wheel_holds_the_data_files_and_the_command(tmp_path: Path, no_cargo: Path) -> None:
    assert build(tmp_path / "dist", path=no_cargo, mode="off").returncode == 0
    with zipfile.ZipFile(only_wheel(tmp_path / "dist")) as archive:
        inside = set(archive.namelist())
        entry_points = archive.read("reelway-0.1.0.dist-info/entry_points.txt").decode()
    data = [ROOT / "actors" / "media" / "errors.toml", *(ROOT / "actors" / "kernel" / "lua").rglob("*.lua")]
    data += (ROOT / "bench" / "systems").glob("*/system.toml")
    assert len(data) > 10
    assert {path.relative_to(ROOT).as_posix() for path in data} <= inside
    assert "reelway = gateway.command.main:main" in entry_points
    folders = {name.split("/")[0] for name in inside}
    assert folders == {"actors", "bench", "gateway", "reelway-0.1.0.dist-info"}


@pytest.mark.heavy
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("cargo") is None, reason="no cargo on PATH")
def test_with_cargo_the_native_program_is_inside(tmp_path: Path) -> None:
    built = build(tmp_path / "dist", path=None, mode="require", target="wheel:editable")
    assert built.returncode == 0, built.stderr
    wheel = only_wheel(tmp_path / "dist")
    with zipfile.ZipFile(wheel) as archive:
        program = archive.extract(f"reelway-0.1.0.data/scripts/{PROGRAM}", tmp_path)
    Path(program).chmod(0o755)
    version = subprocess.run([program, "version", "--json"], capture_output=True, text=True, check=False)
    assert version.returncode == 0, version.stderr
    assert '"version"' in version.stdout


def cached_files() -> set[Path]:
    """The files whose change makes uv build again."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = [key["file"] for key in settings["tool"]["uv"]["cache-keys"] if "file" in key]
    return {path for pattern in patterns for path in ROOT.glob(pattern)}


def test_a_change_of_anything_compiled_builds_again() -> None:
    native = ROOT / "native"
    sources = {
        path for path in (native / "crates").rglob("*") if path.suffix in {".rs", ".toml"} and "tests" not in path.parts
    }
    compiled = sources | {native / "Cargo.toml", native / "Cargo.lock", native / "hatch_build.py"}
    for source in sources:
        for included in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', source.read_text("utf-8")):
            compiled.add((source.parent / included).resolve())
    # Vectors are compiled into tests alone.
    compiled = {path for path in compiled if not path.is_relative_to(ROOT / "tests")}
    compiled |= set((ROOT / "actors" / "kernel" / "lua").rglob("*.lua"))
    assert compiled - cached_files() == set()


def test_a_build_does_not_cause_the_next_one() -> None:
    """What cargo writes must not count as a source, or every run would build."""
    assert not [path for path in cached_files() if "target" in path.relative_to(ROOT).parts]
