"""How a command ends other than well: what happened, why, what to do, a stable code, an exit code."""

import json
import sys
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every subcommand."""

    DONE = 0
    USAGE = 2
    JOB_FAILED = 3
    JOB_ENDED = 4  # cancelled or expired
    UNREACHABLE = 5
    INTERRUPTED = 130


class CommandFailure(Exception):
    """Ends the command with `exit_code`.

    `code` is the stable name of the failure, `message` says what happened and why, `suggestion` what to do about it.
    """

    def __init__(self, exit_code: ExitCode, code: str, message: str, suggestion: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.code = code
        self.message = message
        self.suggestion = suggestion


class CannotStart(CommandFailure):
    """The embedded cluster cannot run on this machine or in this data directory."""

    def __init__(self, code: str, message: str, suggestion: str) -> None:
        super().__init__(ExitCode.UNREACHABLE, code, message, suggestion)


def report(failure: CommandFailure, *, as_json: bool) -> ExitCode:
    """Say `failure` to a person on stderr and, with `as_json`, to a program on stdout; its exit code comes back."""
    sys.stderr.write(f"error: {failure.message} [{failure.code}]\n")
    if failure.suggestion:
        sys.stderr.write(f" hint: {failure.suggestion}\n")
    if as_json:
        body = {"code": failure.code, "message": failure.message, "suggestion": failure.suggestion}
        sys.stdout.write(json.dumps({"error": body}) + "\n")
    return failure.exit_code
