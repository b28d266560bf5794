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
    """The files that git knows or would know, with their times, so that nothing is built again without need."""

    def __init__(self, folder: Path) -> None:
        """`folder` is emptied first."""
        self.folder = folder
        self._changed_at_s = 0
        """Time given to the file that was changed last."""

    def make(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in _files():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
        program = _ONLY_THE_COPY.format(copy=str(self.folder), original=str(ROOT))
        (self.folder / "sitecustomize.py").write_text(program, "utf-8")

    @contextmanager
    def without(self, mutation: Mutation) -> Iterator[None]:
        """The guard is gone meanwhile. Raises WrongText."""
        path = self.folder / mutation.file
        whole, mutated = path.read_bytes(), mutation.mutated(self.folder)
        try:
            self._write(path, mutated.encode())
            yield
        finally:
            self._write(path, whole)

    def _write(self, path: Path, data: bytes) -> None:
        """Each version has a later second than the one before: Python and cargo know a change by its time."""
        path.write_bytes(data)
        self._changed_at_s = max(int(time.time()), self._changed_at_s + 1)
        os.utime(path, (self._changed_at_s, self._changed_at_s))


def _files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = sorted(set(listed.stdout.decode().split("\0")))
    return [name for name in names if (ROOT / name).is_file()]
