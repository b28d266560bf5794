"""`reelway dead show JOB`: one dead letter with everything that is left of its job."""

import argparse
import sys

import msgspec

from gateway.command.admin import AdminClient, Letter
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.failure import ExitCode


class _Event(msgspec.Struct, frozen=True):
    type: str
    at: str
    data: msgspec.Raw


class _Remains(msgspec.Struct, frozen=True):
    spec: msgspec.Raw
    input: msgspec.Raw
    refs: tuple[str, ...]
    takes: int
    created_at: str


class _Detail(Letter, frozen=True, kw_only=True):
    remains: _Remains
    events: tuple[_Event, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `dead show`."""
    parser.add_argument("job", metavar="JOB", help="the job's id")


def run(arguments: argparse.Namespace) -> int:
    """Show."""
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        document = AdminClient(calls).letter(arguments.job)
    if arguments.json:
        sys.stdout.write(document.decode() + "\n")
        return ExitCode.DONE
    sys.stdout.write(_text(msgspec.json.decode(document, type=_Detail)))
    return ExitCode.DONE


def _text(detail: _Detail) -> str:
    remains = detail.remains
    spent = f"{detail.attempt} errors and {detail.crashes} lost workers at this stage; {remains.takes} starts in all"
    rows = {
        "job": f"{detail.job} ({detail.kind}, tenant {detail.tenant})",
        "part of": detail.parent or "",
        "died": f"{detail.died_at} at {detail.stage}: {detail.why}",
        "error": f"{detail.error.message} [{detail.code}]",
        "hint": detail.error.suggestion,
        "spent": spent,
        "worker": f"{detail.worker} on {detail.host}" if detail.worker else "none ever took it",
        "asked": bytes(remains.spec).decode(),
        "input": bytes(remains.input).decode(),
        "files": ", ".join(remains.refs),
        "created": remains.created_at,
    }
    lines = [f"{name:<8} {value}" for name, value in rows.items() if value]
    lines += [f"{event.at}  {event.type:<14} {bytes(event.data).decode()}" for event in detail.events]
    return "\n".join(lines) + "\n"
