"""`reelway jobs`: the newest jobs."""

import argparse
import sys

import msgspec

from gateway.client.documents import Job
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.failure import ExitCode

_MOST_OF_A_PAGE = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `jobs`."""
    parser.add_argument("--state", metavar="STATE", help="only jobs in this state, for example running or failed")
    parser.add_argument("--limit", metavar="N", type=_positive, default=20, help="how many at most; default 20")


def run(arguments: argparse.Namespace) -> int:
    """List, newest first."""
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        found = _read(calls, arguments.state, arguments.limit)
    if arguments.json:
        documents = [msgspec.Raw(job.document) for job in found]
        sys.stdout.write(msgspec.json.encode({"jobs": documents}).decode() + "\n")
        return ExitCode.DONE
    for job in found:
        sys.stdout.write(_line(job) + "\n")
    return ExitCode.DONE


def _read(calls: Calls, state: str | None, limit: int) -> list[Job]:
    found: list[Job] = []
    cursor: str | None = None
    while len(found) < limit:
        length = min(limit - len(found), _MOST_OF_A_PAGE)
        page = calls.run(calls.client.page(state=state, limit=length, cursor=cursor))
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
