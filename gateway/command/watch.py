"""`reelway watch JOB`: a job's progress until its end, live or as JSON lines."""

import argparse
import sys

from gateway.client.documents import Job
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.ending import exit_code_of, say_end
from gateway.command.failure import ExitCode
from gateway.command.following import follow
from gateway.command.progress import make_display


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `watch`."""
    parser.add_argument("job", metavar="JOB", help="the job's id")


def run(arguments: argparse.Namespace) -> int:
    """Watch; the exit code tells how the job ended."""
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        if arguments.json:
            return exit_code_of(_write_events(calls, arguments.job)) or ExitCode.DONE
        with make_display() as display:
            job = follow(calls, arguments.job, display, connection.failing)
    sys.stdout.write(f"{job.id} {job.state}\n")
    return say_end(job)


def _write_events(calls: Calls, job: str) -> Job:
    for event in calls.each(calls.client.watch(job)):
        sys.stdout.write(event.document.decode() + "\n")
        sys.stdout.flush()
    return calls.run(calls.client.job(job))
