"""Which dead letters a command means: the options of a filter, and jobs named one by one."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.command.failure import CommandFailure, ExitCode
from gateway.command.times import ago

_MOST_OF_A_PAGE = 100
FILTERS = ("stage", "tenant", "kind", "code", "why", "since", "until")


def add_filter(parser: argparse.ArgumentParser) -> None:
    """The options of a filter."""
    group = parser.add_argument_group(
        "which of them", "TIME is an age such as 90s, 15m, 6h or 7d, or 2026-01-31T12:00:00Z"
    )
    group.add_argument("--stage", metavar="STAGE", help="those that died at this stage: ingest, fetch, transcode, …")
    group.add_argument("--tenant", metavar="TENANT", help="those of this tenant")
    group.add_argument("--kind", metavar="KIND", help="jobs of this kind: media or delivery")
    group.add_argument("--code", metavar="CODE", help="those whose last error has this code")
    group.add_argument("--why", metavar="WHY", help="permanent, transient, stalled, crash_loop or child")
    group.add_argument("--since", metavar="TIME", type=ago, help="those that died at this time or later")
    group.add_argument(
        "--until", "--older-than", metavar="TIME", type=ago, help="those that died at this time or earlier"
    )


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Jobs by name, or a filter, or all of them."""
    parser.add_argument("job", metavar="JOB", nargs="*", help="a job's id; several may be given")
    parser.add_argument("--all", action="store_true", help="every dead letter, where no filter is given")
    add_filter(parser)


def filter_of(arguments: argparse.Namespace) -> dict[str, str]:
    """The filter that the options make, as the API has it."""
    return {name: value for name in FILTERS if (value := getattr(arguments, name)) is not None}


def check_choice(arguments: argparse.Namespace) -> dict[str, str] | None:
    """The filter, or None when jobs are named. Raises CommandFailure when neither or both is the case."""
    chosen = filter_of(arguments)
    if arguments.job and (chosen or arguments.all):
        raise _usage("Jobs are named and a filter is given.", "Give either the one or the other.")
    if not (arguments.job or chosen or arguments.all):
        raise _usage("No job is named and no filter is given.", "Name jobs, give a filter, or say --all.")
    return None if arguments.job else chosen


def _usage(message: str, suggestion: str) -> CommandFailure:
    return CommandFailure(ExitCode.USAGE, "USAGE", message, suggestion)


def without(values: dict[str, Any]) -> dict[str, Any]:
    """Without what was not asked for."""
    return {name: value for name, value in values.items() if value is not None}


Page = Callable[[dict[str, str]], tuple[Sequence[msgspec.Raw], str | None]]
"""One page of a listing: from the parameters `limit` and `cursor` to its rows and the next cursor."""


def read_pages(page: Page, limit: int) -> tuple[list[msgspec.Raw], bool]:
    """The first `limit` rows of a listing, and whether there are more."""
    found: list[msgspec.Raw] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": str(min(limit - len(found), _MOST_OF_A_PAGE))}
        rows, cursor = page(parameters | ({"cursor": cursor} if cursor else {}))
        found += rows
        if cursor is None or len(found) >= limit:
            return found, cursor is not None
