"""`reelway dead quarantined`: jobs whose data could not be read."""

import argparse
import sys

import msgspec

from gateway.command.admin import AdminClient, Quarantined
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.dead.selection import read_pages
from gateway.command.failure import ExitCode
from gateway.command.times import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `dead quarantined`."""
    parser.add_argument("--limit", metavar="N", type=positive, default=20, help="how many at most; default 20")


def run(arguments: argparse.Namespace) -> int:
    """List, newest first."""
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        client = AdminClient(calls)

        def page(parameters: dict[str, str]) -> tuple[tuple[msgspec.Raw, ...], str | None]:
            rows = client.quarantined(parameters)
            return rows.quarantined, rows.next

        found, has_more = read_pages(page, arguments.limit)
    if arguments.json:
        sys.stdout.write(msgspec.json.encode({"quarantined": found}).decode() + "\n")
        return ExitCode.DONE
    for document in found:
        row = msgspec.json.decode(document, type=Quarantined)
        what = "no longer kept" if row.type == "none" else f"a {row.type}"
        told = [f"{name}={row.fields[name]}" for name in ("state", "stage", "tenant") if name in row.fields]
        columns = (row.job, row.at, what, row.why, " ".join(told))
        sys.stdout.write("  ".join(column for column in columns if column) + "\n")
    if has_more:
        sys.stderr.write("there are more: --limit shows them\n")
    return ExitCode.DONE
