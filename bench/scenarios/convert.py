"""One `reelway convert` from nothing to nothing, next to the bare ffmpeg call."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg
import msgspec

from bench.context import Context
from bench.findings import Figure, Finding, Row, Table

WHAT = "one `reelway convert`: start, upload, conversion, download, end of every process; next to bare ffmpeg"
CLIP_S, QUICK_CLIP_S = 8.0, 2.0
GONE_WITHIN_S = 20.0
HOW = """\
The command starts the whole cluster (Redis, gateway, reaper, four Python actors, the transcode actor) in a data
directory that did not exist before, uploads the file, has it converted and verified, downloads it and lets everything
end again. What it takes longer than ffmpeg alone is mostly the start of the Python processes. The two take turns.

A clip of {clip_s:g} s (1280×720 H.264, AAC) to mp3."""


class Round(msgspec.Struct, frozen=True):
    """One bare call and one conversion."""

    ffmpeg_s: float
    """ffmpeg alone, with the arguments of the plan."""
    command_s: float
    """Until `reelway convert` has ended: cluster started, file uploaded, converted, verified, downloaded."""
    gone_s: float
    """Until no process of the cluster is left."""

    @property
    def overhead_s(self) -> float:
        """What the command takes longer than ffmpeg, the end of every process included."""
        return self.gone_s - self.ffmpeg_s


LINES = {
    "ffmpeg_s": "ffmpeg alone",
    "command_s": "the command, until it ends",
    "gone_s": "the command, until none of its processes is left",
    "overhead_s": "of that, more than ffmpeg alone",
}


def make_clip(ffmpeg: str, path: Path, seconds: float) -> None:
    """720p H.264 with AAC, as a camera makes it."""
    sources = ["-f", "lavfi", "-i", f"testsrc2=s=1280x720:r=30:d={seconds}"]
    sources += ["-f", "lavfi", "-i", f"sine=440:sample_rate=48000:duration={seconds}"]
    codecs = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest"]
    subprocess.run([ffmpeg, "-v", "error", "-nostdin", "-y", *sources, *codecs, str(path)], check=True)


def processes_of(data: Path) -> list[int]:
    """The living processes that were started for a data directory."""
    mark = f"REELWAY_DATA_DIR={data}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes() + b"\0":
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def one_round(ffmpeg: str, clip: Path, folder: Path) -> Round:
    """Both, in a folder of their own. Raises CalledProcessError, RuntimeError when processes stay."""
    bare = [ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(clip), "-vn", "-c:a", "libmp3lame", "-b:a", "192k"]
    began = time.monotonic()
    subprocess.run([*bare, str(folder / "bare.mp3")], check=True)
    ffmpeg_s = time.monotonic() - began
    data = folder / "data"
    command = [sys.executable, "-m", "gateway.command.main", "convert", str(clip), "--to", "mp3", "--json"]
    began = time.monotonic()
    subprocess.run(
        [*command, "-o", str(folder / "out.mp3")],
        env={**os.environ, "REELWAY_DATA_DIR": str(data)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    command_s = time.monotonic() - began
    while alive := processes_of(data):
        if time.monotonic() - began > GONE_WITHIN_S:
            raise RuntimeError(f"processes are still alive: {alive}")
        time.sleep(0.01)
    return Round(round(ffmpeg_s, 3), round(command_s, 3), round(time.monotonic() - began, 3))


def run(context: Context) -> Finding:
    """One round is not counted: it fills the caches of files."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    clip_s = QUICK_CLIP_S if context.quick else CLIP_S
    rounds = []
    with tempfile.TemporaryDirectory(prefix="reelway-bench-") as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(ffmpeg, clip, clip_s)
        for number in range(0 if not context.quick else 1, context.rounds + 1):
            place = Path(folder) / str(number)
            place.mkdir()
            rounds.append(one_round(ffmpeg, clip, place))
    return finding(clip_s, rounds if context.quick else rounds[1:])


def finding(clip_s: float, rounds: list[Round]) -> Finding:
    """The times of all rounds."""
    rows = tuple(
        Row((words,), (Figure("s", tuple(round(getattr(each, name), 3) for each in rounds)),))
        for name, words in LINES.items()
    )
    table = Table("From nothing to nothing", ("what",), ("time",), rows)
    return Finding("convert", "One conversion from nothing to nothing", HOW.format(clip_s=clip_s), (table,))
