"""`reelway submit SOURCE…`: hand a job in, or a batch of several, and wait for its end only if asked."""

import argparse
import sys
from typing import Any

from gateway.client.documents import Job
from gateway.command.arguments import add_wish
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.conversion import Wish
from gateway.command.ending import say_end
from gateway.command.failure import ExitCode
from gateway.command.following import follow
from gateway.command.native import require_native
from gateway.command.progress import Display, make_display
from gateway.command.source import Source, read_source
from gateway.command.times import positive, start


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `submit`."""
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="a file, or an address that begins with http:// or https://; several make a batch",
    )
    add_wish(parser)
    parser.add_argument("--wait", action="store_true", help="follow the job to its end")
    parser.add_argument("--priority", choices=("high", "normal", "low"), help="how soon it is taken; default normal")
    parser.add_argument(
        "--start",
        metavar="TIME",
        type=start,
        help="when it may start: after 90s, 15m, 6h or 7d, or at 2026-01-31T12:00:00Z",
    )
    parser.add_argument(
        "--deadline", metavar="SECONDS", type=positive, help="time from its start; default: the installation's"
    )
    parser.add_argument(
        "--idempotency-key",
        metavar="KEY",
        help="the same key and request give the same job, however often they are sent",
    )


def run(arguments: argparse.Namespace) -> int:
    """Submit; print the job's id, or the job with --json."""
    sources = [read_source(text) for text in arguments.sources]
    wish = Wish(arguments.to or "mp3", arguments.quality)
    for source in sources:
        wish.check(source)
    terms = _terms(arguments)
    settings = load_settings(arguments.data)
    with Connection(settings) as connection, Calls(connection) as calls, make_display() as display:
        if connection.is_embedded:
            require_native()
        sent = [_send(calls, source, display) for source in sources]
        asked = sent if len(sent) > 1 else sent[0]
        key = arguments.idempotency_key
        job = calls.run(calls.client.submit(asked, wish.format, quality=wish.quality, idempotency_key=key, **terms))
        if arguments.wait:
            job = follow(calls, job.id, display, connection.failing)
        elif connection.ends_with_this_command():
            display.note(
                "The job goes on while a reelway command runs: start `reelway up`, or `reelway watch` this job."
            )
    _say(job, as_json=arguments.json)
    return say_end(job) if arguments.wait else ExitCode.DONE


def _terms(arguments: argparse.Namespace) -> dict[str, Any]:
    """When and how urgently the job runs, as far as it was said."""
    terms: dict[str, Any] = {}
    if arguments.priority:
        terms["priority"] = arguments.priority
    if arguments.deadline:
        terms["deadline_s"] = arguments.deadline
    return terms | (arguments.start or {})


def _send(calls: Calls, source: Source, display: Display) -> str:
    if source.file is None:
        return source.address or ""
    size_bytes = source.size_bytes
    upload = calls.run(calls.client.upload(source.file, moved=lambda done: display.show("upload", done / size_bytes)))
    display.finish("upload")
    return upload.source


def _say(job: Job, *, as_json: bool) -> None:
    sys.stdout.write((job.document.decode() if as_json else job.id) + "\n")
