"""`reelway watch JOB`: a job's progress until its end, live or as JSON lines."""

import argparse
import sys

from gateway.command.client import GatewayClient
from gateway.command.connection import Connection, load_settings
from gateway.command.documents import Job
from gateway.command.ending import exit_code_of, say_end
from gateway.command.events import watch
from gateway.command.failure import ExitCode
from gateway.command.following import follow
from gateway.command.progress import make_display


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `watch`."""
    parser.add_argument("job", metavar="JOB", help="the job's id")


def run(arguments: argparse.Namespace) -> int:
    """Watch; the exit code tells how the job ended."""
    with Connection(load_settings(arguments.data)) as connection:
        client = GatewayClient(connection)
        if arguments.json:
            return exit_code_of(_write_events(client, arguments.job)) or ExitCode.DONE
        with make_display() as display:
            job = follow(client, arguments.job, display, connection.failing)
    sys.stdout.write(f"{job.id} {job.state}\n")
    return say_end(job)


def _write_events(client: GatewayClient, job: str) -> Job:
    for event in watch(client, job):
        if event.type != "heartbeat":
            sys.stdout.write(event.envelope.decode() + "\n")
            sys.stdout.flush()
    return client.job(job)
