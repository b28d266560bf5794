"""The stand-in does what ffmpeg did, remembers only what is whole, and makes its troubles once a job."""

import json
import os
import re
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from actors.native import require_native
from tests.command.waiting import is_alive, wait_for
from tests.faults.media.programs import real_ffmpeg, stand_in
from tests.faults.media.samples import make_samples

CONVERSION = ["-map", "0:0", "-sn", "-dn", "-c:a", "libmp3lame", "-b:a", "192000", "-f", "mp3"]
Seen = tuple[int, str, str, bytes | None]
"""Status, stdout, stderr, output."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    make_samples(real_ffmpeg(), folder)
    return folder


class Program:
    """A stand-in and what it may start, in one folder."""

    def __init__(self, folder: Path, kept: Path | None = None) -> None:
        self.path = stand_in(folder, kept=kept)
        self.home = self.path.parent
        self._started: list[subprocess.Popen[bytes]] = []

    def replace_real(self, by: Path) -> None:
        (self.home / "real").unlink()
        (self.home / "real").symlink_to(by)

    def lose_real(self) -> None:
        self.replace_real(Path("/bin/false"))

    def memory(self) -> list[str]:
        return sorted(path.name for path in (self.home / "memory" / "known").iterdir())

    def start(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [self.path, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, process_group=0
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            with process:
                pass


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    made.end()


def probing(source: Path) -> list[str]:
    listing = ["-map", "0:V?", "-map", "0:a?", "-c", "copy", "-copyts", "-f", "framecrc", "pipe:1"]
    return ["-nostdin", "-hide_banner", "-nostats", "-v", "level+info", "-i", f"file:{source}", *listing]


def converting(source: Path, output: Path) -> list[str]:
    said = ["-nostdin", "-hide_banner", "-nostats", "-v", "level+warning", "-progress", "pipe:1", "-y"]
    return [*said, "-i", f"file:{source}", *CONVERSION, f"file:{output}"]


def run(program: Path, arguments: list[str], limit_bytes: int | None = None) -> Seen:
    """A call as the product makes it: no environment, from the root."""

    def confine() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    ended = subprocess.run(
        [program, *arguments], capture_output=True, check=False, env={}, cwd="/", timeout=30, preexec_fn=confine
    )
    last = arguments[-1].removeprefix("file:")
    output = Path(last).read_bytes() if Path(last).exists() else None
    return ended.returncode, _steady(ended.stdout), _steady(ended.stderr), output


def _steady(said: bytes) -> str:
    """Without what differs between two runs of the real one: addresses of memory, and speeds."""
    return re.sub(r"0x[0-9a-f]+|(?<=speed=) *\S+|(?<=elapsed=)\S+|(?<=fps=)\S+", "…", said.decode())


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(lambda samples, out: probing(samples / "clip.mp4"), id="probe"),
        pytest.param(lambda samples, out: probing(samples / "long.mp3"), id="probe_long"),
        pytest.param(lambda samples, out: converting(samples / "tone.wav", out), id="conversion"),
        pytest.param(lambda samples, out: probing(samples / "text.mp4"), id="no_media"),
        pytest.param(lambda samples, out: probing(samples / "cut.mp4"), id="cut"),
    ],
)
def test_the_same_as_the_real_one_and_then_without_it(
    program: Program, samples: Path, tmp_path: Path, arguments: Callable[[Path, Path], list[str]]
) -> None:
    def seen(path: Path) -> Seen:
        out = tmp_path / "out.mp3"
        out.unlink(missing_ok=True)
        return run(path, arguments(samples, out))

    real = seen(real_ffmpeg())
    assert seen(program.path) == real
    program.lose_real()
    assert seen(program.path) == real


def test_a_source_is_known_by_its_content_wherever_it_lies(program: Program, samples: Path, tmp_path: Path) -> None:
    content = (samples / "tone.wav").read_bytes()
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(content)
    (tmp_path / "c").write_bytes(content[:-2])
    first = run(program.path, converting(tmp_path / "a", tmp_path / "a.mp3"))
    program.lose_real()
    assert run(program.path, converting(tmp_path / "b", tmp_path / "b.mp3")) == first
    assert run(program.path, converting(tmp_path / "c", tmp_path / "c.mp3"))[0] == 1


def test_a_memory_may_be_kept_for_the_next_run(samples: Path, tmp_path: Path) -> None:
    call = probing(samples / "tone.mp3")
    first = run(Program(tmp_path / "1", tmp_path / "kept").path, call)
    second = Program(tmp_path / "2", tmp_path / "kept")
    second.lose_real()
    assert run(second.path, call) == first
    assert first[0] == 0


def test_the_native_probe_sees_no_difference(program: Program, samples: Path) -> None:
    def probe(ffmpeg: Path) -> object:
        command = [str(require_native()), "probe", str(samples / "clip.mp4")]
        ended = subprocess.run(command, env={"REELWAY_FFMPEG": str(ffmpeg)}, capture_output=True, check=True)
        return json.loads(ended.stdout)

    real = probe(real_ffmpeg())
    assert probe(program.path) == real
    assert program.memory(), "remembered, although the jail lets a reading ffmpeg write no file"
    program.lose_real()
    assert probe(program.path) == real


def test_a_kill_in_the_middle_leaves_nothing_behind(program: Program, samples: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho half > {tmp_path}/out.mp3\necho $$ > {tmp_path}/pid.new\n"
                    f"mv {tmp_path}/pid.new {tmp_path}/pid\nexec sleep 60\n")  # fmt: skip
    slow.chmod(0o755)
    program.replace_real(slow)
    process = program.start(converting(samples / "tone.wav", tmp_path / "out.mp3"))
    wait_for((tmp_path / "pid").exists, "the real one is at work")
    process.kill()
    process.wait()
    real = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_alive(real), "the real one ends with the stand-in")
    assert not program.memory()
    program.replace_real(real_ffmpeg())
    assert run(program.path, converting(samples / "tone.wav", tmp_path / "out.mp3"))[0] == 0
    assert len(program.memory()) == 1


def test_it_moves_while_the_real_one_works(program: Program, samples: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    waiting = tmp_path / "waiting"
    waiting.write_text(f"#!/bin/sh\nread line < {gate}\necho progress=end\necho done > {tmp_path}/out.mp3\n")
    waiting.chmod(0o755)
    program.replace_real(waiting)
    process = program.start(converting(samples / "tone.wav", tmp_path / "out.mp3"))
    assert process.stdout is not None
    assert [_next_time(process.stdout) for _ in range(2)] == [0, 1]
    gate.write_text("go\n")
    assert process.stdout.read().endswith(b"progress=end\n")
    assert process.wait() == 0


def test_what_comes_from_the_machine_is_not_remembered(program: Program, samples: Path, tmp_path: Path) -> None:
    call = converting(samples / "tone.wav", tmp_path / "out.mp3")
    assert run(program.path, call, limit_bytes=1000)[0] == -signal.SIGXFSZ
    assert not program.memory()
    whole = run(program.path, call)
    assert whole[0] == 0
    assert len(program.memory()) == 1
    assert run(program.path, call, limit_bytes=1000)[0] == -signal.SIGXFSZ
    assert run(program.path, call) == whole
    gone = run(program.path, converting(samples / "tone.wav", tmp_path / "gone" / "out.mp3"))
    assert gone[0] != 0
    assert "No such file" in gone[2]


def test_a_stuck_source_hangs_once_a_job(program: Program, samples: Path, tmp_path: Path) -> None:
    for job in ("j1", "j2"):
        folder = tmp_path / "work" / job / "1"
        folder.mkdir(parents=True)
        call = converting(samples / "stuck.wav", folder / "output.mp3.part")
        process = program.start(call)
        _wait_until_ignored(process.pid, signal.SIGTERM)
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.1)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert run(program.path, call)[0] == 0
        assert run(program.path, call)[0] == 0


def test_a_long_source_takes_its_time_and_tells(program: Program, samples: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp3"
    process = program.start(converting(samples / "long.mp3", out))
    assert process.stdout is not None
    times = [_next_time(process.stdout) for _ in range(4)]
    assert times == sorted(set(times)), "it moves"
    part = out.stat().st_size
    process.kill()
    assert process.wait() == -signal.SIGKILL
    whole = run(real_ffmpeg(), converting(samples / "long.mp3", tmp_path / "whole.mp3"))[3]
    assert whole is not None
    assert 0 < part < len(whole)


def _next_time(said: IO[bytes]) -> int:
    return next(int(line.partition(b"=")[2]) for line in said if line.startswith(b"out_time_us="))


def _wait_until_ignored(pid: int, number: int) -> None:
    def ignores() -> bool:
        status = Path(f"/proc/{pid}/status").read_text()
        return bool(int(status.partition("SigIgn:")[2].split()[0], 16) >> (number - 1) & 1)

    wait_for(ignores, f"signal {number} is ignored")
