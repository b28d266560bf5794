"""`reelway jobs`: the newest jobs."""

import argparse
import sys

import msgspec

from gateway.command.client import GatewayClient
from gateway.command.connection import Connection, load_settings
from gateway.command.documents import Job, read_job
from gateway.command.failure import ExitCode

_MOST_OF_A_PAGE = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `jobs`."""
    parser.add_argument("--state", metavar="STATE", help="only jobs in this state, for example running or failed")
    parser.add_argument("--limit", metavar="N", type=_positive, default=20, help="how many at most; default 20")


def run(arguments: argparse.Namespace) -> int:
    """List, newest first."""
    with Connection(load_settings(arguments.data)) as connection:
        found = _read(GatewayClient(connection), arguments.state, arguments.limit)
    if arguments.json:
        sys.stdout.write(msgspec.json.encode({"jobs": found}).decode() + "\n")
        return ExitCode.DONE
    for document in found:
        sys.stdout.write(_line(read_job(bytes(document))) + "\n")
    return ExitCode.DONE


def _read(client: GatewayClient, state: str | None, limit: int) -> list[msgspec.Raw]:
    found: list[msgspec.Raw] = []
    cursor: str | None = None
    while len(found) < limit:
        parameters = {"limit": str(min(limit - len(found), _MOST_OF_A_PAGE))}
        parameters |= {"state": state} if state else {}
        parameters |= {"cursor": cursor} if cursor else {}
        page = client.jobs(parameters)
        found += page.jobs
        cursor = page.next
        if cursor is None:
            break
    return found


def _line(job: Job) -> str:
    what = f"{job.state} {job.stage or ''} {job.progress.percent:.0f} %" if job.state == "running" else job.state
    why = job.error.code if job.error else job.reason.code if job.reason else ""
    return f"{job.id}  {job.created_at}  {what:<24} {job.format:<5} {why:<18} {job.source or 'batch'}".rstrip()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
