"""`reelway dead export`: dead letters in full, one JSON object a line."""

import argparse
import sys

from gateway.command.admin import AdminClient
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.dead.selection import add_filter, filter_of
from gateway.command.failure import CommandFailure, ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `dead export`."""
    add_filter(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write lines to stdout as they come."""
    lines = 0
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        try:
            for piece in AdminClient(calls).export(filter_of(arguments)):
                sys.stdout.buffer.write(piece)
                lines += piece.count(b"\n")
        except CommandFailure as failure:
            if failure.code != "GATEWAY_UNREACHABLE" or not lines:
                raise
            raise CommandFailure(
                ExitCode.UNREACHABLE,
                "EXPORT_INCOMPLETE",
                f"The export broke off after {lines} dead letters. {failure.message}",
                "Export again; --until leaves out what is newer than the last line.",
            ) from failure
        finally:
            sys.stdout.flush()
    return ExitCode.DONE
