"""The entry of the `reelway` command: finds the subcommand, imports only that, and ends with its exit code."""

import argparse
import contextlib
import importlib
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import NoReturn

from gateway.command.failure import CommandFailure, ExitCode, report
from gateway.command.interrupts import held
from gateway.embedded.failure import CannotStart

COMMANDS = {
    "convert": "convert a file or an address to a file",
    "demo": "make a short clip and convert it, then a file of yours",
    "up": "run everything on this machine, until Ctrl-C",
    "submit": "hand in a job, or a batch of several sources",
    "watch": "follow a job to its end",
    "jobs": "list jobs",
    "cancel": "cancel a job",
    "retry": "run a job again that did not succeed",
    "dead": "jobs that failed for good: list, show, replay, purge",
    "workers": "stages, what waits at them, and who works there",
    "pause": "take nothing more at a stage",
    "resume": "take work at a stage again",
    "doctor": "check this installation",
    "run": "run roles of a cluster in this process",
    "bench": "measure what an installation does and costs, next to other systems",
}
OWN_ARGUMENTS = frozenset({"bench"})
"""Subcommands without the common arguments: `--json` names a file there, and there is no data directory."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in the form of every other failure."""

    def error(self, message: str) -> NoReturn:
        raise CommandFailure(
            ExitCode.USAGE, "USAGE", f"{message[:1].upper()}{message[1:]}.", f"See `{self.prog} --help`."
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own); the exit code comes back. Never raises."""
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files are bytes, and go out as they came
    as_json = "--json" in words
    try:
        return _run(words)
    except CommandFailure as failure:
        return report(failure, as_json=as_json)
    except CannotStart as failure:
        return report(
            CommandFailure(ExitCode.UNREACHABLE, failure.code, failure.message, failure.suggestion), as_json=as_json
        )
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read stdout has left. Python would complain once more when it flushes at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001  # the last line before a user would see a traceback
        return report(_unexpected(error), as_json=as_json)


def _run(words: Sequence[str]) -> int:
    parser = _Parser(prog="reelway", description="Convert media with progress you can watch and results you can trust.")
    parser.add_argument("--version", action="store_true", help="print the version")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=f"{summary[:1].upper()}{summary[1:]}.")
        if name == wanted:
            with held():
                module = importlib.import_module(f"gateway.command.{name}")
                if name not in OWN_ARGUMENTS:
                    from gateway.command.arguments import add_common

                    add_common(subparser)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    arguments = parser.parse_args(words)
    if arguments.version:
        from actors.version import installed_version

        sys.stdout.write(f"reelway {installed_version()}\n")
        return ExitCode.DONE
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return ExitCode.USAGE
    return int(arguments.run(arguments))


def _unexpected(error: Exception) -> CommandFailure:
    with tempfile.NamedTemporaryFile("w", prefix="reelway-error-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    return CommandFailure(
        ExitCode.UNREACHABLE,
        "INTERNAL",
        f"An unexpected error happened in this command: {type(error).__name__}.",
        f"Try again. The details are in {file.name}.",
    )


if __name__ == "__main__":
    sys.exit(main())
