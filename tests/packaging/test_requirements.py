"""The locked requirements fit what pyproject.toml asks for, carry digests, and name no index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "config" / "requirements.txt"


@pytest.fixture(scope="module")
def locked() -> dict[str, Requirement]:
    joined = LOCK.read_text("utf-8").replace("\\\n", " ")
    entries = [line.partition("--hash")[0] for line in joined.splitlines() if line and not line.startswith("#")]
    requirements = (Requirement(entry.strip()) for entry in entries)
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def test_every_dependency_is_locked_to_a_version_it_allows(locked: dict[str, Requirement]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for wanted in map(Requirement, project["dependencies"]):
        (pinned,) = locked[canonicalize_name(wanted.name)].specifier
        assert pinned.operator == "=="
        assert wanted.specifier.contains(pinned.version), wanted


def test_every_package_has_a_digest() -> None:
    joined = LOCK.read_text("utf-8").replace("\\\n", " ")
    for line in joined.splitlines():
        assert not line or line.startswith("#") or "--hash=sha256:" in line


def test_no_address_is_written_down() -> None:
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|@ file", LOCK.read_text("utf-8"))
