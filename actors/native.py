"""Finding and calling the programs that are not Python: `reelway-transcode` and ffmpeg."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from actors.media.errors import MediaError
from actors.settings import MediaSettings

NATIVE_PROGRAM = "reelway-transcode"
_TERM_GRACE_S = 1.0


def find_native() -> Path | None:
    """`reelway-transcode`: the one installed with this package, else the one on PATH, else None."""
    installed = Path(sysconfig.get_path("scripts")) / NATIVE_PROGRAM
    if installed.is_file() and os.access(installed, os.X_OK):
        return installed
    found = shutil.which(NATIVE_PROGRAM)
    return Path(found) if found else None


def require_native() -> Path:
    """Like find_native; raises MediaError NATIVE_MISSING when there is none."""
    found = find_native()
    if found is None:
        raise MediaError("NATIVE_MISSING", f"{NATIVE_PROGRAM} is neither installed nor on PATH")
    return found


def find_ffmpeg(settings: MediaSettings) -> Path | None:
    """ffmpeg: the configured one, else the one of imageio-ffmpeg, else the one on PATH, else None."""
    if settings.ffmpeg:
        found = shutil.which(settings.ffmpeg)
        return Path(found).absolute() if found else None
    return _bundled_ffmpeg() or (Path(path) if (path := shutil.which("ffmpeg")) else None)


def require_ffmpeg(settings: MediaSettings) -> Path:
    """Like find_ffmpeg; raises MediaError NATIVE_MISSING when there is none."""
    found = find_ffmpeg(settings)
    if found is None:
        raise MediaError("NATIVE_MISSING", f"no ffmpeg (media.ffmpeg = {settings.ffmpeg!r})")
    return found


def _bundled_ffmpeg() -> Path | None:
    """The program inside the wheel, without importing the package: its own search starts ffmpeg."""
    spec = importlib.util.find_spec("imageio_ffmpeg")
    if spec is None or not spec.submodule_search_locations:
        return None
    for location in spec.submodule_search_locations:
        for candidate in sorted((Path(location) / "binaries").glob("ffmpeg-*"), reverse=True):
            if os.access(candidate, os.X_OK):
                return candidate
    return None


class Finished(NamedTuple):
    """How a program ended. `status` is negative for a signal."""

    status: int
    stdout: bytes
    stderr: bytes


async def call(program: Path, arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> Finished:
    """Run a program in a process group of its own and read all it says.

    Raises TimeoutError after `timeout_s`. Nothing of the group is left, however this ends.
    """
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            stdout, stderr = await process.communicate()
        return Finished(process.returncode or 0, stdout, stderr)
    finally:
        await end_group(process)


async def end_group(process: asyncio.subprocess.Process) -> None:
    """End a process and its group: SIGTERM, one second, SIGKILL. It is shielded from cancellation."""
    if process.returncode is None:
        await _finish(asyncio.ensure_future(_end(process)))
    _signal(process.pid, signal.SIGKILL)


async def _finish(ending: asyncio.Future[None]) -> None:
    """Wait for `ending` even while being cancelled; the cancellation comes through afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while not ending.done():
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def _end(process: asyncio.subprocess.Process) -> None:
    _signal(process.pid, signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), _TERM_GRACE_S)
    except TimeoutError:
        _signal(process.pid, signal.SIGKILL)
        await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
