"""Programs that are not Python: found, called, and never left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from actors import native
from actors.media.errors import MediaError
from actors.native import call, find_ffmpeg, find_native, require_ffmpeg, require_native
from actors.probe import probe
from actors.settings import MediaSettings
from tests.media_samples import MediaFactory

needs_native = pytest.mark.skipif(find_native() is None, reason="reelway-transcode is not built")
ENVIRON = {"PATH": os.defpath}


def script(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def mentioning(word: str) -> list[psutil.Process]:
    """Live processes with a word in their arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if word in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


async def until(condition: Callable[[], bool], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - other processes send no event
            await asyncio.sleep(0.02)


def test_ffmpeg_is_the_configured_one_or_the_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = script(tmp_path, "my-ffmpeg", "exit 0")
    assert find_ffmpeg(MediaSettings(ffmpeg=str(own))) == own
    assert find_ffmpeg(MediaSettings(ffmpeg="/no/such/ffmpeg")) is None
    with pytest.raises(MediaError, match="NATIVE_MISSING"):
        require_ffmpeg(MediaSettings(ffmpeg="/no/such/ffmpeg"))
    bundled = find_ffmpeg(MediaSettings())
    assert bundled is not None
    assert "imageio_ffmpeg" in str(bundled)
    monkeypatch.setattr(native, "_bundled_ffmpeg", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg(MediaSettings()) is None
    on_path = script(tmp_path, "ffmpeg", "exit 0")
    assert find_ffmpeg(MediaSettings()) == on_path


def test_the_native_program_is_the_installed_one_or_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "NATIVE_PROGRAM", "reelway-other")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MediaError, match="NATIVE_MISSING"):
        require_native()
    made = script(tmp_path, "reelway-other", "exit 0")
    assert require_native() == made


async def test_a_program_is_read_to_its_end_and_may_say_a_lot(tmp_path: Path) -> None:
    loud = script(tmp_path, "loud", "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 3")
    finished = await call(loud, [], ENVIRON, 10.0)
    assert (finished.status, len(finished.stdout), len(finished.stderr)) == (3, 3_000_000, 3_000_000)


@pytest.mark.parametrize("body", ["sleep 61 & sleep 61", "trap '' TERM; sleep 61 & while :; do sleep 1; done"])
async def test_a_program_that_takes_too_long_ends_with_its_children(tmp_path: Path, body: str) -> None:
    slow = script(tmp_path, "slow", body)
    with pytest.raises(TimeoutError):
        await call(slow, [str(tmp_path)], ENVIRON, 0.3)
    assert mentioning(str(slow)) == []


async def test_a_cancelled_call_ends_its_program_first(tmp_path: Path) -> None:
    slow = script(tmp_path, "slow", "sleep 61")
    calling = asyncio.create_task(call(slow, [], ENVIRON, 60.0))
    await until(lambda: bool(mentioning(str(slow))), 5.0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert mentioning(str(slow)) == []


@needs_native
async def test_probing_says_what_is_in_a_file(media_factory: MediaFactory) -> None:
    found = await probe(media_factory.clip(), MediaSettings())
    assert {stream.kind for stream in found.streams} == {"video", "audio"}
    with pytest.raises(MediaError) as caught:
        await probe(media_factory.text(), MediaSettings())
    assert caught.value.code == "NOT_MEDIA"


@needs_native
async def test_probing_ends_with_the_process_that_asked_for_it(tmp_path: Path, media_factory: MediaFactory) -> None:
    hanging = script(tmp_path, "hanging-ffmpeg", "exec sleep 61")
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from actors.probe import probe\n"
        "from actors.settings import MediaSettings\n"
        "asyncio.run(probe(Path(sys.argv[1]), MediaSettings(ffmpeg=sys.argv[2])))\n"
    )
    clip = media_factory.clip()
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(clip), str(hanging))
    await until(lambda: any(child.name() == "sleep" for child in children(parent.pid)), 10.0)
    below = children(parent.pid)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await until(lambda: not any(alive(child) for child in below), 2.0)


def children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
