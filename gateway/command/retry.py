"""`reelway retry JOB`: a job that failed, was cancelled or expired runs again."""

import argparse
import sys

from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.failure import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `retry`."""
    parser.add_argument("job", metavar="JOB", help="the job's id")


def run(arguments: argparse.Namespace) -> int:
    """Retry. A job that is on its way already is fine; one that has completed is refused by the gateway."""
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        job = calls.run(calls.client.retry(arguments.job))
    shown = job.document.decode() if arguments.json else f"{job.id} {job.state}"
    sys.stdout.write(shown + "\n")
    return ExitCode.DONE
