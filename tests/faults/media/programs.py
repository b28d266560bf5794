"""Which ffmpeg the processes of a run use."""

import asyncio
import hashlib
import importlib.machinery
import os
import py_compile
import secrets
import sys
from pathlib import Path

from actors.native import require_ffmpeg
from actors.settings import MediaSettings
from tests.faults.media import stand_in as program
from tests.faults.plan import Profile

KEPT = "REELWAY_FAULTS_MEMORY"
"""Environment variable: a folder in which the stand-in's memory stays for the next run, which then costs less."""

BLANKS = 400
"""Different calls that can be remembered. A blank takes no room before it is written."""

_LAUNCHER = """#!{python} -ISs
import sys
sys.path.insert(0, {folder!r})
from stand_in import main
main()
"""


def real_ffmpeg() -> Path:
    """What the product uses by default, unless REELWAY_TEST_FFMPEG names another. Raises MediaError."""
    named = os.environ.get("REELWAY_TEST_FFMPEG")
    return Path(named) if named else require_ffmpeg(MediaSettings())


def stand_in(folder: Path, real: Path | None = None, kept: Path | None = None) -> Path:
    """Write the program that stands in for `real` into `<folder>/ffmpeg`; gives the executable.

    `kept`: a folder whose memory several runs share; without it the memory begins empty. Neither folder may lie on a
    disk that a fault fills.
    """
    home = folder.absolute() / "ffmpeg"
    (home / "met").mkdir(parents=True)
    real = (real or real_ffmpeg()).resolve()
    (home / "real").symlink_to(real)
    if kept is None:
        (home / "memory").mkdir()
    else:
        memory = kept.absolute() / _identity(real)
        memory.mkdir(parents=True, exist_ok=True)
        (home / "memory").symlink_to(memory)
    _make_blanks(home / "memory")
    # Compiling takes longer than all the rest of a call. Where the program runs, it may write nothing.
    suffix = importlib.machinery.BYTECODE_SUFFIXES[0]
    py_compile.compile(str(Path(program.__file__)), cfile=str(home / f"stand_in{suffix}"), doraise=True)
    executable = home / "ffmpeg"
    # Past a virtual environment, which takes time and gives nothing here.
    python = Path(sys.executable).resolve()
    executable.write_text(_LAUNCHER.format(python=python, folder=str(home)))
    executable.chmod(0o755)
    return executable


def _make_blanks(memory: Path) -> None:
    blank = memory / "blank"
    for needed in (blank, memory / "known"):
        needed.mkdir(exist_ok=True)
    for number in range(BLANKS - len(list(blank.iterdir()))):
        with (blank / f"{number}-{secrets.token_hex(8)}").open("xb") as file:
            file.truncate(program.BLANK_BYTES)


def _identity(real: Path) -> str:
    """Names a memory: another ffmpeg, or another way to remember, has another one."""
    found = real.stat()
    said = f"{sys.version} {real} {found.st_size} {found.st_mtime_ns} ".encode() + Path(program.__file__).read_bytes()
    return hashlib.sha256(said).hexdigest()[:16]


async def ffmpeg_for(profile: Profile, folder: Path) -> Path | None:
    """What `REELWAY_FFMPEG` has to name in a run of this profile; None: there is no media work."""
    match profile.ffmpeg:
        case "none":
            return None
        case "real":
            return real_ffmpeg()
        case "stand_in":
            kept = os.environ.get(KEPT)
            return await asyncio.to_thread(stand_in, folder, kept=Path(kept) if kept else None)
