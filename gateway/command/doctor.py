"""`reelway doctor`: whether everything that a conversion needs is there and fits together."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterable

import msgspec

from actors.settings import Settings
from gateway.command.checkup import (
    Finding,
    check_data_directory,
    check_ffmpeg,
    check_gateway,
    check_instance,
    check_native,
    check_port,
    check_redis,
)
from gateway.command.connection import load_settings
from gateway.command.failure import CommandFailure, ExitCode

_MARKS = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`doctor` has the common arguments only."""


def run(arguments: argparse.Namespace) -> int:
    """Look at everything; exit code 0 when nothing failed, else 5."""
    try:
        settings = load_settings(arguments.data)
    except CommandFailure as failure:
        return _say([Finding("settings", "failed", failure.message, failure.suggestion)], as_json=arguments.json)
    checks: tuple[Callable[[Settings], Finding], ...] = (
        check_ffmpeg,
        check_native,
        lambda known: asyncio.run(check_redis(known)),
        check_data_directory,
        check_instance,
        check_port,
        lambda known: asyncio.run(check_gateway(known)),
    )
    return _say(
        [Finding("settings", "ok", "all known and usable"), *(check(settings) for check in checks)],
        as_json=arguments.json,
    )


def _say(findings: Iterable[Finding], *, as_json: bool) -> ExitCode:
    found = list(findings)
    healthy = all(finding.state != "failed" for finding in found)
    if as_json:
        body = {"healthy": healthy, "checks": msgspec.to_builtins(found)}
        sys.stdout.write(json.dumps(body) + "\n")
    else:
        for finding in found:
            sys.stdout.write(f"{_MARKS[finding.state]}  {finding.name:<15} {finding.detail}\n")
            if finding.suggestion:
                sys.stdout.write(f"      {'':<15} {finding.suggestion}\n")
    return ExitCode.DONE if healthy else ExitCode.UNREACHABLE
