"""Whose programs the workers are. Today there is one release: this checkout.

When the first version is published, it becomes "other", and a profile with `releases=("current", "other")` has half of
the workers of either, on the same keys. What has to be done then:

1. Install it into a virtual environment of its own, from the package index or from its tag, with its native program
   (`uv venv`, `uv pip install reelway==…`), and check its tag out beside it: the scripted actor is a program of the
   tests, so it runs as that release had it. Before `tests/faults` was there, it has none, and only the product's
   roles can be of that release.
2. Name both here: `RELEASES["other"] = Release(name="other", python=…, root=…)`, the paths taken from an environment
   variable (REELWAY_TEST_OTHER_RELEASE, say), and nothing where it is not set. Settings that the other release does not
   know yet are refused by it: take them out with `without`.
3. Let a disturbance like that of rolling.py give one process after the other to the other release, under load
   (`RoleProcess.launch` may be replaced at any time; the next start goes by it): that is a rolling upgrade, and
   backwards a rollback.
4. Add a profile and a fault to the catalogue, and a check that both releases executed stages of the same jobs:
   `ProcessStarted.release` says who was what.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[3]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One version of all programs."""

    name: str
    python: str
    """The interpreter of the environment that it is installed in."""
    root: Path
    """The checkout with its tests, of which the scripted actor is one."""
    environment: dict[str, str] = {}
    """Added to what every process is told."""
    without: tuple[str, ...] = ()
    """Names of settings that it does not know."""
    native: Path | None = None
    """The folder of its native program, where that is not installed beside its Python."""

    def told(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What a process of this release is told, of what one of the current release is."""
        told = {name: value for name, value in environment.items() if name not in self.without} | self.environment
        if self.native is not None:
            told["PATH"] = os.pathsep.join([str(self.native), told.get("PATH", os.defpath)])
        return told

    def role_command(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """The product's roles, in one process."""
        return (self.python, "-P", "-m", "gateway.command.main", "run", *roles, "--json")

    def scripted_command(self) -> tuple[str, ...]:
        """The actor of scripted jobs, started in `root`."""
        return (self.python, "-m", "tests.faults.load.scripted_actor")


CURRENT = Release(name="current", python=sys.executable, root=ROOT)
RELEASES: dict[str, Release] = {"current": CURRENT}


def release(name: str) -> Release:
    """Raises LookupError for one that is not on this machine."""
    if name not in RELEASES:
        here = ", ".join(sorted(RELEASES))
        message = f"the release {name!r} is not here, only {here}: tests/faults/house/releases.py says what it takes"
        raise LookupError(message)
    return RELEASES[name]
