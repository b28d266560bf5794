"""docs/command.md names what there is."""

import re
from pathlib import Path

from gateway.command.failure import ExitCode
from gateway.command.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "command.md").read_text()
NO_CODES = re.compile(r"REELWAY_|XDG_|PYTHON")


def test_every_code_is_explained() -> None:
    patterns = ("gateway/command/**/*.py", "gateway/embedded/*.py", "bench/asked.py", "bench/command.py")
    sources = [source for pattern in patterns for source in ROOT.glob(pattern)]
    used = {
        code
        for source in sources
        for code in re.findall(r'"([A-Z]+(?:_[A-Z0-9]+)+|USAGE|INTERNAL)"', source.read_text())
    }
    named = {code for code in used if not NO_CODES.match(code)}
    # The code of the API and the job for the same thing.
    assert named - {"UPLOAD_EMPTY"} == set(re.findall(r"`([A-Z]+(?:_[A-Z0-9]+)+|USAGE|INTERNAL)`", PAGE)) - {
        name for name in re.findall(r"`([A-Z_]+)`", PAGE) if NO_CODES.match(name)
    }


def test_every_subcommand_and_exit_code_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+)[^`]*` \|", PAGE, re.MULTILINE)) >= set(COMMANDS)
    assert set(re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)) == {str(int(code)) for code in ExitCode}
