"""`reelway convert SOURCE`: one file or address in, one checked file out."""

import argparse
import sys
from pathlib import Path

from actors.media.formats import FORMATS
from gateway.client.documents import Job
from gateway.command.arguments import add_wish
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.conversion import Conversion, Interrupted, Wish
from gateway.command.ending import exit_code_of, say_end
from gateway.command.failure import ExitCode
from gateway.command.interrupts import Interrupts
from gateway.command.native import require_native
from gateway.command.progress import Display, make_display
from gateway.command.source import read_source
from gateway.command.target import Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `convert`."""
    parser.add_argument("source", metavar="SOURCE", help="a file, or an address that begins with http:// or https://")
    add_wish(parser)
    parser.add_argument(
        "-o", "--output", metavar="PATH", help="the result; default: the source's name in this directory"
    )
    parser.add_argument("--force", action="store_true", help="replace the result if it exists")


def run(arguments: argparse.Namespace) -> int:
    """Convert, showing progress on stderr."""
    try:
        with Interrupts(), make_display() as display:
            job, path = convert(arguments, display)
    except Interrupted as interrupted:
        return _say_interrupted(interrupted.job, as_json=arguments.json)
    except KeyboardInterrupt:
        return _say_interrupted(None, as_json=arguments.json)
    if arguments.json:
        sys.stdout.write(job.document.decode() + "\n")
    elif job.state == "completed":
        sys.stdout.write(f"{path}\n")
    return say_end(job)


def convert(arguments: argparse.Namespace, display: Display) -> tuple[Job, Path]:
    """The ended job and where its result lies if it completed. Bad input is refused before anything starts."""
    source = read_source(arguments.source)
    wish = Wish(arguments.to or _format_of(arguments.output), arguments.quality)
    wish.check(source)
    target = Target(
        _target_path(arguments.output, source.result_name(FORMATS[wish.format].extension)),
        replace=arguments.force,
        source=source.file,
    )
    settings = load_settings(arguments.data)
    with Connection(settings) as connection, Calls(connection) as calls:
        if connection.is_embedded:
            require_native()
        return Conversion(connection, calls, source, wish, target, display).run(), target.path


def _format_of(output: str | None) -> str:
    """The format that the name of the result asks for, else mp3."""
    extension = Path(output).suffix.removeprefix(".").lower() if output else ""
    return next((name for name, known in FORMATS.items() if known.extension == extension), "mp3")


def _target_path(output: str | None, name: str) -> Path:
    if output is None:
        return Path(name)
    path = Path(output).expanduser()
    return path / name if path.is_dir() else path


def _say_interrupted(job: Job | None, *, as_json: bool) -> int:
    if as_json and job is not None and exit_code_of(job) is not None:
        sys.stdout.write(job.document.decode() + "\n")
    sys.stderr.write(f"interrupted; the job {job.id} is {job.state}\n" if job else "interrupted\n")
    return ExitCode.INTERRUPTED
