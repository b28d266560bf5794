"""`reelway resume STAGE`: take work at a stage again."""

import argparse
import sys

from gateway.command.admin import AdminClient
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.failure import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `resume`."""
    parser.add_argument("stage", metavar="STAGE", help="ingest, fetch, transcode, store or notify")


def run(arguments: argparse.Namespace) -> int:
    """Resume. A stage that was not paused stays as it is."""
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        document = AdminClient(calls).resume(arguments.stage)
    sys.stdout.write((document.decode() if arguments.json else f"{arguments.stage} goes on") + "\n")
    return ExitCode.DONE
