"""`reelway demo [SOURCE]`: a first conversion without any file at hand, then one of the user's own."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from gateway.command import convert
from gateway.command.connection import Connection, load_settings
from gateway.command.failure import CommandFailure, ExitCode

_CLIP_S = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `demo`."""
    parser.add_argument(
        "source", metavar="SOURCE", nargs="?", help="a file or an address of yours, converted afterwards"
    )
    parser.add_argument("--to", metavar="FORMAT", help="what to make of SOURCE; default mp3")


def run(arguments: argparse.Namespace) -> int:
    """Make a clip, convert it to reelway-demo.mp3 in this directory, then convert SOURCE as `convert` does."""
    settings = load_settings(arguments.data)
    # Held over both conversions, so that the second finds the instance of the first.
    with tempfile.TemporaryDirectory(prefix="reelway-demo-") as folder, Connection(settings) as connection:
        connection.begin()
        clip = Path(folder, "reelway-demo.mp4")
        sys.stderr.write(f"making a clip of {_CLIP_S} s\n")
        _make_clip(_ffmpeg(arguments), clip)
        ended = _convert(arguments, str(clip), "mp3", force=True)
        if ended == ExitCode.DONE and arguments.source:
            sys.stderr.write(f"now {arguments.source}\n")
            ended = _convert(arguments, arguments.source, arguments.to, force=False)
    if ended == ExitCode.DONE and not arguments.source:
        sys.stderr.write("now one of yours: reelway convert FILE --to mp3\n")
    return ended


def _convert(arguments: argparse.Namespace, source: str, to: str | None, *, force: bool) -> int:
    wanted = argparse.Namespace(
        source=source, to=to, quality=None, output=None, force=force, json=arguments.json, data=arguments.data
    )
    return convert.run(wanted)


def _ffmpeg(arguments: argparse.Namespace) -> Path:
    from actors.native import find_ffmpeg

    found = find_ffmpeg(load_settings(arguments.data).media)
    if found is None:
        raise CommandFailure(
            ExitCode.UNREACHABLE,
            "FFMPEG_MISSING",
            "No ffmpeg was found.",
            "Install Reelway with its dependencies again, or set REELWAY_FFMPEG.",
        )
    return found


def _make_clip(ffmpeg: Path, clip: Path) -> None:
    # fmt: off
    command = [
        str(ffmpeg), "-nostdin", "-hide_banner", "-loglevel", "error",
        "-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=25:duration={_CLIP_S}",
        "-f", "lavfi", "-i", f"sine=frequency=440:duration={_CLIP_S}",
        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", str(clip),
    ]
    # fmt: on
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise CommandFailure(
            ExitCode.UNREACHABLE,
            "FFMPEG_FAILED",
            f"ffmpeg could not make a clip: {made.stderr.strip()[-300:]}",
            "Run `reelway doctor`; with REELWAY_FFMPEG another ffmpeg can be used.",
        )
