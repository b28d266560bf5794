"""What `convert` remembers between a kill and the same command again: `<data>/converts/<digest>`.

An entry exists from before the first request until the job's end was seen. It holds the random Idempotency-Key and,
for a file, the upload it was sent as, so that the same request can be made again and finds the same job.
"""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.embedded.instance import FileLock


class Entry(msgspec.Struct, frozen=True):
    """`upload` is the id of the file at the gateway, None until it has been sent."""

    idempotency_key: str
    upload: str | None = None


class LedgerEntry:
    """The entry of one conversion. Two equal commands at once do not share it: the second has one in memory alone."""

    def __init__(self, folder: Path, identity: Sequence[str]) -> None:
        digest = hashlib.sha256(json.dumps(list(identity)).encode()).hexdigest()
        self._path = folder / digest
        self._lock: FileLock | None = None
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(folder / f"{digest}.lock")
            if lock.try_exclusive() and lock.is_in_place():
                self._lock = lock
            else:
                lock.close()
        kept = self._read()
        self.is_old = kept is not None
        self.entry = kept or Entry(secrets.token_hex(16))

    def start_anew(self) -> None:
        """Forget the job of the old entry: a new one is wanted."""
        self.keep(Entry(secrets.token_hex(16)))

    def keep(self, entry: Entry) -> None:
        """Remember `entry` in place of what was there."""
        self.entry = entry
        if self._lock is None:
            return
        written = self._path.with_suffix(".new")
        try:
            descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(entry))
                file.flush()
                os.fsync(file.fileno())
            written.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                written.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another process have the entry. Ends with the process, too."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def forget(self) -> None:
        """The end was seen."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
            self._path.with_suffix(".lock").unlink(missing_ok=True)

    def _read(self) -> Entry | None:
        if self._lock is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Entry)
        except (OSError, msgspec.DecodeError):
            return None
