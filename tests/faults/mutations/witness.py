"""A plugin of the pytest that runs in the copy: what it imports is the copy's, and how its tests ended."""

import os
from pathlib import Path

import msgspec
import pytest

import actors
import gateway

REPORT = "REELWAY_MUTATIONS_REPORT"
"""Environment: the file that gets the outcomes."""


class Outcomes(msgspec.Struct):
    """Ids of the tests that ended so."""

    failed: list[str] = []
    passed: list[str] = []
    skipped: list[str] = []


_seen = Outcomes([], [], [])


def pytest_configure() -> None:
    for package in (actors, gateway):
        if not Path(str(package.__file__)).is_relative_to(Path.cwd()):
            raise pytest.UsageError(f"{package.__name__} is imported from {package.__file__}, not from {Path.cwd()}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _seen.failed.append(report.nodeid)
    elif report.skipped:
        _seen.skipped.append(report.nodeid)
    elif report.when == "call":
        _seen.passed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    Path(os.environ[REPORT]).write_bytes(msgspec.json.encode(_seen))
