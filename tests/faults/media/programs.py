"""Which ffmpeg the processes of a run use."""

import asyncio
import importlib.machinery
import os
import py_compile
import sys
from pathlib import Path

from actors.native import require_ffmpeg
from actors.settings import MediaSettings
from tests.faults.media import stand_in as program
from tests.faults.plan import Profile

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


def stand_in(folder: Path, real: Path | None = None) -> Path:
    """Write the program that stands in for `real` into `<folder>/ffmpeg`; gives the executable.

    Its memory begins empty. The folder must not lie on a disk that a fault fills.
    """
    home = folder.absolute() / "ffmpeg"
    for name in ("memory", "blank", "met"):
        (home / name).mkdir(parents=True)
    (home / "real").symlink_to((real or real_ffmpeg()).absolute())
    for number in range(BLANKS):
        with (home / "blank" / f"{number:03}").open("xb") as file:
            file.truncate(program.BLANK_BYTES)
    # Compiling takes longer than all the rest of a call. Where the program runs, it may write nothing.
    suffix = importlib.machinery.BYTECODE_SUFFIXES[0]
    py_compile.compile(str(Path(program.__file__)), cfile=str(home / f"stand_in{suffix}"), doraise=True)
    executable = home / "ffmpeg"
    # Past a virtual environment, which takes time and gives nothing here.
    python = Path(sys.executable).resolve()
    executable.write_text(_LAUNCHER.format(python=python, folder=str(home)))
    executable.chmod(0o755)
    return executable


async def ffmpeg_for(profile: Profile, folder: Path) -> Path | None:
    """What `REELWAY_FFMPEG` has to name in a run of this profile; None: there is no media work."""
    match profile.ffmpeg:
        case "none":
            return None
        case "real":
            return real_ffmpeg()
        case "stand_in":
            return await asyncio.to_thread(stand_in, folder)
