"""`reelway dead count`: how many there are, and of what."""

import argparse
import sys

import msgspec

from gateway.command.admin import AdminClient, Count
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.dead.selection import add_filter, filter_of
from gateway.command.failure import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `dead count`."""
    add_filter(parser)


def run(arguments: argparse.Namespace) -> int:
    """Count."""
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        document = AdminClient(calls).count(filter_of(arguments))
    if arguments.json:
        sys.stdout.write(document.decode() + "\n")
        return ExitCode.DONE
    count = msgspec.json.decode(document, type=Count)
    for group in count.groups:
        sys.stdout.write(f"{group.count:>7}  {group.stage:<10} {group.why:<11} {group.code}\n")
    least = "" if count.complete else "at least "
    sys.stdout.write(f"{least}{count.matching} dead letters\n")
    return ExitCode.DONE
