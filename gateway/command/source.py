"""What a user may name as a source: a web address, or a file of this machine that can be read."""

import os
import re
from pathlib import Path

import msgspec

from actors.media.names import display_name, name_from_address, stem_of
from gateway.command.failure import CommandFailure, ExitCode

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Source(msgspec.Struct, frozen=True):
    """Exactly one of `address` and `file` is set."""

    address: str | None
    file: Path | None
    size_bytes: int
    identity: tuple[str, ...]
    """What makes two sources the same: the address, or the file with its size and time of change."""

    def result_name(self, extension: str) -> str:
        """How a result is called if nobody says otherwise."""
        name = self.file.name if self.file else name_from_address(self.address or "")
        return display_name(stem_of(name), extension)


def read_source(text: str) -> Source:
    """The source that `text` names; raises `CommandFailure` for a file that cannot be a source."""
    if _ADDRESS.match(text):
        return Source(text, None, 0, (text,))
    path = Path(text).expanduser()
    try:
        status = path.stat()
        if path.is_file():
            with path.open("rb"):
                pass
    except FileNotFoundError:
        raise _refused(
            "FILE_NOT_FOUND",
            f"There is no file {text}.",
            "Check the path, or give an address that begins with https://.",
        ) from None
    except OSError as error:
        raise _refused(
            "FILE_UNREADABLE", f"{text} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from None
    if path.is_dir():
        raise _refused("FILE_IS_FOLDER", f"{text} is a folder, not a media file.", "Name one file inside it.")
    if not path.is_file():
        raise _refused("FILE_NOT_REGULAR", f"{text} is not a regular file.", "Save it to a file first, and name that.")
    if status.st_size == 0:
        raise _refused(
            "UPLOAD_EMPTY", f"{text} is empty: it has no bytes.", "Check whether it was copied or recorded to its end."
        )
    absolute = os.path.realpath(path)
    return Source(None, path, status.st_size, (absolute, str(status.st_size), str(status.st_mtime_ns)))


def _refused(code: str, message: str, suggestion: str) -> CommandFailure:
    return CommandFailure(ExitCode.USAGE, code, message, suggestion)
