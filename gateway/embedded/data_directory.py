"""What lies where in a data directory, and that it can be used at all."""

import os
import tempfile
from pathlib import Path

from gateway.embedded.failure import CannotStart

# A Unix socket's path is at most 107 bytes on Linux.
_LONGEST_SOCKET_PATH_BYTES = 100


def unusable(root: Path, error: OSError) -> CannotStart:
    """The failure to raise when the data directory at `root` cannot be read or written."""
    return CannotStart(
        "DATA_DIRECTORY_UNUSABLE",
        f"The data directory {root} cannot be used: {error.strerror or error}.",
        "Give --data or REELWAY_DATA_DIR a directory that you may write to, on a disk with room.",
    )


class DataDirectory:
    """The paths of one data directory.

    Written by the supervisor: `instance_file` (who serves it), `run` (socket and pid-bound things of the living
    instance), `redis` (the server's files), `logs`, `key_file`. Written by commands: `converts`. Written by the actors
    and the gateway: `storage`. Lock files are never deleted.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100  # resolve() would follow a link that may be replaced
        self.run = self.root / "run"
        self.logs = self.root / "logs"
        self.redis = self.root / "redis"
        self.converts = self.root / "converts"
        self.storage = self.root / "storage"
        self.instance_file = self.root / "instance.json"
        self.key_file = self.root / "gateway.key"
        self.serving_lock = self.root / "serving.lock"
        self.users_lock = self.root / "users.lock"
        # Present while Redis holds no lease: written after every actor has drained, removed before one is started.
        self.drained_mark = self.redis / "drained"
        self.version_file = self.redis / "version"
        self.socket_link = self.run / "socket-directory"

    def create(self) -> None:
        """Make what is missing, private to this user; raises `CannotStart` when it cannot be written."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.run, self.logs, self.redis, self.converts, self.storage):
                folder.mkdir(mode=0o700, exist_ok=True)
            self.run.chmod(0o700)
            self.users_lock.touch(mode=0o600)
            self.serving_lock.touch(mode=0o600)
        except OSError as error:
            raise unusable(self.root, error) from error

    def socket_directory(self) -> Path:
        """A private directory (0700) with a path short enough for a socket; the one of a dead instance is removed."""
        self.remove_socket_directory()
        if len(os.fsencode(self.run / "redis.sock")) <= _LONGEST_SOCKET_PATH_BYTES:
            return self.run
        parent = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        made = Path(tempfile.mkdtemp(prefix="reelway-", dir=parent))
        self.socket_link.symlink_to(made)
        return made

    def remove_socket_directory(self) -> None:
        """Remove the socket and, where it lies elsewhere, its directory."""
        (self.run / "redis.sock").unlink(missing_ok=True)
        if self.socket_link.is_symlink():
            elsewhere = self.socket_link.readlink()
            (elsewhere / "redis.sock").unlink(missing_ok=True)
            if elsewhere.is_dir():
                elsewhere.rmdir()
            self.socket_link.unlink()

    def redis_socket(self) -> Path:
        """Where the living instance's Redis listens."""
        if self.socket_link.is_symlink():
            return self.socket_link.readlink() / "redis.sock"
        return self.run / "redis.sock"
