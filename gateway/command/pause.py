"""`reelway pause STAGE`: take nothing more at a stage."""

import argparse
import sys

from gateway.command.admin import AdminClient
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.failure import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pause`."""
    parser.add_argument("stage", metavar="STAGE", help="ingest, fetch, transcode, store or notify")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for whoever wonders")


def run(arguments: argparse.Namespace) -> int:
    """Pause. What runs goes on; what comes waits until `reelway resume`."""
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        document = AdminClient(calls).pause(arguments.stage, arguments.reason)
    shown = document.decode() if arguments.json else f"{arguments.stage} is paused; what runs there goes on"
    sys.stdout.write(shown + "\n")
    return ExitCode.DONE
