"""One `reelway convert` from nothing to nothing, next to the bare ffmpeg call. See README.md of this folder.

usage: python -m bench.convert [--rounds N] [--seconds S] [--json FILE] [--markdown FILE]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg
import msgspec

from bench import output
from bench.machine import Machine, describe

GONE_WITHIN_S = 20.0


class Round(msgspec.Struct, frozen=True):
    """One bare call and one conversion in a data directory that did not exist before."""

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


class Report(msgspec.Struct, frozen=True):
    """One run."""

    machine: Machine
    clip_s: float
    rounds: list[Round]


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
    bare = [ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(clip), "-vn", "-c:a", "libmp3lame", "-b:a", "192k"]
    began = time.monotonic()
    subprocess.run([*bare, str(folder / "bare.mp3")], check=True)
    ffmpeg_s = time.monotonic() - began
    data = folder / "data"
    command = [str(Path(sys.executable).with_name("reelway")), "convert", str(clip), "--to", "mp3", "--json"]
    began = time.monotonic()
    subprocess.run(
        [*command, "-o", str(folder / "out.mp3")],
        env={**os.environ, "REELWAY_DATA_DIR": str(data)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    command_s = time.monotonic() - began
    while processes_of(data):
        if time.monotonic() - began > GONE_WITHIN_S:
            sys.exit(f"processes are still alive: {processes_of(data)}")
        time.sleep(0.01)
    return Round(round(ffmpeg_s, 3), round(command_s, 3), round(time.monotonic() - began, 3))


def measure(rounds: int, seconds: float) -> Report:
    """The whole scenario; the two halves take turns."""
    machine = describe()
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    with tempfile.TemporaryDirectory(prefix="reelway-bench-") as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(ffmpeg, clip, seconds)
        measured = []
        for number in range(rounds):
            place = Path(folder) / str(number)
            place.mkdir()
            measured.append(one_round(ffmpeg, clip, place))
    return Report(machine, seconds, measured)


def markdown(report: Report) -> str:
    """The report as a page section: what it was measured on, medians, then every round."""
    machine = report.machine
    overheads = sorted(each.overhead_s for each in report.rounds)
    facts = (
        f"A clip of {report.clip_s:g} s (1280×720 H.264, AAC) to mp3, {len(report.rounds)} rounds, a new data directory"
        f" each. {machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}, load at start"
        f" {machine.load_at_start}."
    )
    overhead = (
        f"Longer than ffmpeg alone, start and end of the cluster included: {statistics.median(overheads):.2f} s"
        f" ({overheads[0]:.2f} to {overheads[-1]:.2f})."
    )
    lines = [
        facts,
        "",
        "| | ffmpeg alone s | command s | until no process is left s |",
        "|---|---|---|---|",
    ]
    medians = (statistics.median(getattr(each, field) for each in report.rounds) for field in Round.__struct_fields__)
    lines.append("| median | " + " | ".join(f"{median:.2f}" for median in medians) + " |")
    for number, each in enumerate(report.rounds, 1):
        lines.append(f"| {number} | {each.ffmpeg_s:.2f} | {each.command_s:.2f} | {each.gone_s:.2f} |")
    return "\n".join([*lines, "", overhead]) + "\n"


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.convert", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=8.0)
    output.add_options(parser)
    options = parser.parse_args(argv)
    report = measure(options.rounds, options.seconds)
    output.write(options, report, markdown(report))


if __name__ == "__main__":
    main(sys.argv[1:])
