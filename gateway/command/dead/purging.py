"""`reelway dead purge`: give dead letters up."""

import argparse
import sys

import msgspec

from gateway.command.admin import AdminClient, Count
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.dead.selection import add_jobs, check_choice
from gateway.command.failure import CommandFailure, ExitCode

_MOST_JOBS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `dead purge`."""
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where nobody can answer")
    add_jobs(parser)


def run(arguments: argparse.Namespace) -> int:
    """Purge, after a question: it cannot be undone."""
    wanted = check_choice(arguments)
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        client = AdminClient(calls)
        if wanted is None:
            _confirm(f"{len(arguments.job)} named", agreed=arguments.yes)
            purged = _purge_named(client, arguments.job)
        else:
            count = msgspec.json.decode(client.count(wanted), type=Count)
            least = "" if count.complete else "at least "
            if count.newest_at is not None:
                _confirm(f"{least}{count.matching}", agreed=arguments.yes)
                wanted["until"] = count.newest_at
            purged = _purge_all(client, wanted) if count.newest_at is not None else []
    if arguments.json:
        sys.stdout.write(msgspec.json.encode({"purged": purged}).decode() + "\n")
    else:
        sys.stdout.write(f"{len(purged)} purged; the reaper deletes their files\n")
    return ExitCode.DONE


def _purge_named(client: AdminClient, jobs: list[str]) -> list[str]:
    purged: list[str] = []
    for first in range(0, len(jobs), _MOST_JOBS):
        purged += client.purge({"jobs": jobs[first : first + _MOST_JOBS]}).purged
    return purged


def _purge_all(client: AdminClient, wanted: dict[str, str]) -> list[str]:
    purged: list[str] = []
    cursor: str | None = None
    while True:
        page = client.purge({"filter": wanted, "cursor": cursor})
        purged += page.purged
        cursor = page.next
        if cursor is None:
            return purged


def _confirm(what: str, *, agreed: bool) -> None:
    if agreed:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        sys.stderr.write(f"Give up {what} dead letters and their files for good? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() in {"y", "yes"}:
            return
    raise CommandFailure(
        ExitCode.USAGE, "NOT_CONFIRMED", "Nothing was purged: it was not confirmed.", "Answer yes, or say --yes."
    )
