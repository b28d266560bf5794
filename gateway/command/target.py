"""Where a result goes: the name it gets, and the way it gets there, whole or not at all."""

import errno
import os
from pathlib import Path

from gateway.command.failure import CommandFailure, ExitCode


class Target:
    """The file that will hold the result.

    Until the result is complete and checked it lies next to it under a hidden name; then it gets the name in one step.
    Raises `CommandFailure` at once when the name cannot be used.
    """

    def __init__(self, path: Path, *, replace: bool, source: Path | None) -> None:
        self.path = path.absolute()
        self._replace = replace
        folder = self.path.parent
        if not folder.is_dir():
            raise _refused(
                "OUTPUT_FOLDER_MISSING", f"The folder {folder} does not exist.", "Create it, or give -o another path."
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _refused(
                "OUTPUT_FOLDER_READ_ONLY", f"You may not write to {folder}.", "Give -o a path that you may write to."
            )
        if self.path.is_dir():
            raise _refused("OUTPUT_IS_FOLDER", f"{path} is a folder.", "Give -o the path of a file.")
        if source is not None and self.path.exists() and self.path.samefile(source):
            raise _refused(
                "OUTPUT_IS_SOURCE", f"The result would replace its own source {path}.", "Give -o another name."
            )
        if not replace and os.path.lexists(self.path):
            raise self._exists()

    def partial(self, job: str) -> Path:
        """Where the bytes of the job's result are gathered; the same for the same job, to be taken up again."""
        return self.path.parent / f".reelway-{job}.part"

    def put(self, complete: Path) -> None:
        """Give `complete`, a file in the same folder, the target's name, over another file only if that was asked."""
        if self._replace:
            complete.replace(self.path)
            return
        try:
            # A link, unlike a rename, never replaces what somebody else put there in the meantime.
            self.path.hardlink_to(complete)
        except FileExistsError:
            raise self._exists() from None
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}:
                raise
            # No links on this file system: the check and the rename are two steps here.
            if os.path.lexists(self.path):
                raise self._exists() from None
            complete.replace(self.path)
        else:
            complete.unlink()

    def _exists(self) -> CommandFailure:
        return _refused(
            "OUTPUT_EXISTS", f"{self.path} exists already.", "Add --force to replace it, or give -o another name."
        )


def _refused(code: str, message: str, suggestion: str) -> CommandFailure:
    return CommandFailure(ExitCode.USAGE, code, message, suggestion)
