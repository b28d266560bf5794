"""Who serves a data directory: the record that commands read, and the two locks that make it true.

`serving.lock` is held exclusively by the one supervisor of a data directory, for as long as it lives. `users.lock` is
held shared by every command that uses the instance; a supervisor that was started by such a command takes it
exclusively once nobody holds it, and keeps it while it stops, so a new command waits for the end instead of finding
an instance that is about to go.
"""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import Self

import msgspec

from gateway.embedded.data_directory import DataDirectory


class Instance(msgspec.Struct, frozen=True):
    """A running instance.

    `started_at` is RFC 3339; `ends_when_unused` is true for one that a command started; `failing` names the children
    that ended again and again as soon as they were started, whose work therefore stands still.
    """

    url: str
    key: str
    pid: int
    version: str
    started_at: str
    ends_when_unused: bool
    failing: tuple[str, ...] = ()


def read_instance(directory: DataDirectory) -> Instance | None:
    """The recorded instance, alive or not; None when there is no readable record."""
    try:
        return msgspec.json.decode(directory.instance_file.read_bytes(), type=Instance)
    except (OSError, msgspec.DecodeError):
        return None


def write_instance(directory: DataDirectory, instance: Instance) -> None:
    """Record `instance`, readable by this user only, never half written."""
    descriptor, name = tempfile.mkstemp(prefix=".instance-", dir=directory.root)  # mkstemp makes it 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(instance))
    Path(name).replace(directory.instance_file)


class FileLock:
    """One holder's hold on a lock file. The kernel ends it when the holder dies, however it dies."""

    def __init__(self, path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> None:
        self._path = path
        self._descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)

    def try_shared(self) -> bool:
        """Hold it together with other sharers; False while somebody holds it exclusively."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Hold it alone; False while anybody else holds it."""
        return self._try(fcntl.LOCK_EX)

    def _try(self, operation: int) -> bool:
        try:
            fcntl.flock(self._descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let others have it; it can be taken again."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def is_in_place(self) -> bool:
        """Whether the file still has its name; one that the last holder removed keeps nobody else out."""
        try:
            return self._path.stat().st_ino == os.fstat(self._descriptor).st_ino
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_served(directory: DataDirectory) -> bool:
    """Whether a supervisor lives. Looks for a moment only, which a supervisor that starts allows for.

    Nothing is written, so that also somebody who may only read the directory gets an answer.
    """
    try:
        lock = FileLock(directory.serving_lock, os.O_RDONLY)
    except OSError:
        return False
    with lock:
        return not lock.try_shared()
