"""`reelway dead export`: dead letters in full, one JSON object a line."""

import argparse
import sys

from gateway.command.admin import AdminClient
from gateway.command.client import ConnectionLost, GatewayClient
from gateway.command.connection import Connection, load_settings
from gateway.command.dead.selection import add_filter, filter_of
from gateway.command.failure import CommandFailure, ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `dead export`."""
    add_filter(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write lines to stdout as they come."""
    lines = 0
    with Connection(load_settings(arguments.data)) as connection:
        try:
            for piece in AdminClient(GatewayClient(connection)).export(filter_of(arguments)):
                sys.stdout.buffer.write(piece)
                lines += piece.count(b"\n")
        except ConnectionLost as lost:
            raise CommandFailure(
                ExitCode.UNREACHABLE,
                "EXPORT_INCOMPLETE",
                f"The export broke off after {lines} dead letters: {lost}.",
                "Export again; --until leaves out what is newer than the last line.",
            ) from lost
        finally:
            sys.stdout.flush()
    return ExitCode.DONE
