"""`reelway bench`: measures what an installation does and costs; the same as `python -m bench`."""

import argparse

from bench import command
from bench.asked import Refused
from gateway.command.failure import CommandFailure, ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the bench."""
    command.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, also when a figure is not what was wanted; 1 when a scenario broke."""
    try:
        return command.carry_out(arguments)
    except Refused as refusal:
        raise CommandFailure(ExitCode.USAGE, refusal.code, refusal.message, refusal.suggestion) from refusal
