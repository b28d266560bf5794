"""A copy of the checkout, in which guards are removed and put back one at a time."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.mutations.mutation import Mutation

ROOT = Path(__file__).resolve().parents[3]
_ONLY_THE_COPY = '''"""Every Python process that runs in this copy imports from it and not from the original."""

import sys

sys.path[:] = [{copy!r}, *(entry for entry in sys.path if entry not in ({copy!r}, {original!r}))]
'''


class Copy:
    """The files that git knows or would know. One that is there already is brought up to date: cargo and Python know a
    change by the time of its file, so no file may ever become older than what was built from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        program = _ONLY_THE_COPY.format(copy=str(self.folder), original=str(ROOT))
        files = {name: (ROOT / name).read_bytes() for name in _files()} | {"sitecustomize.py": program.encode()}
        for path in list(self.folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc" and path.relative_to(self.folder).as_posix() not in files:
                path.unlink()
        for name, data in files.items():
            path = self.folder / name
            if not path.is_file() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, data)
            if (ROOT / name).is_file():
                shutil.copymode(ROOT / name, path)

    @contextmanager
    def without(self, mutation: Mutation) -> Iterator[None]:
        """The guard is gone meanwhile. Raises WrongText."""
        path = self.folder / mutation.file
        whole, mutated = path.read_bytes(), mutation.mutated(self.folder)
        try:
            _write(path, mutated.encode())
            yield
        finally:
            _write(path, whole)


def _write(path: Path, data: bytes) -> None:
    """At least a second later than the version before: Python compares whole seconds."""
    before_s = path.stat().st_mtime if path.exists() else 0.0
    path.write_bytes(data)
    changed_at_s = max(time.time(), before_s + 1.0)
    os.utime(path, (changed_at_s, changed_at_s))


def _files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = sorted(set(listed.stdout.decode().split("\0")))
    return [name for name in names if (ROOT / name).is_file()]
