"""`reelway cancel JOB`: end a job that nobody wants any more."""

import argparse
import sys

from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.failure import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `cancel`."""
    parser.add_argument("job", metavar="JOB", help="the job's id")


def run(arguments: argparse.Namespace) -> int:
    """Cancel. A job that has ended otherwise is refused by the gateway; one that is cancelled already is fine."""
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        job = calls.run(calls.client.cancel(arguments.job))
    shown = job.document.decode() if arguments.json else f"{job.id} {job.state}"
    sys.stdout.write(shown + "\n")
    return ExitCode.DONE
