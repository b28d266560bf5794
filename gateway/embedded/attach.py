"""A command's hold on the instance of a data directory: finds it, or starts one that ends with its last user."""

import json
import os
import subprocess
import sys
import time
from typing import Self

from gateway.embedded.data_directory import DataDirectory, unusable
from gateway.embedded.environment import with_bytecode_cache
from gateway.embedded.failure import CannotStart
from gateway.embedded.instance import FileLock, Instance, is_served, read_instance

ALREADY_SERVED = 75
_TICK_S = 0.005
_STARTS_WITHIN_S = 60.0
# An instance that ends because nobody used it needs at most two seconds; one with a large Redis file a little more.
_LETS_IN_WITHIN_S = 30.0


class Attachment:
    """While it is open, an instance that a command started does not end."""

    def __init__(self, directory: DataDirectory) -> None:
        directory.create()
        self.directory = directory
        self._supervisor: subprocess.Popen[bytes] | None = None
        try:
            self._users = FileLock(directory.users_lock)
        except OSError as error:
            raise unusable(directory.root, error) from error
        until = time.monotonic() + _LETS_IN_WITHIN_S
        while not self._users.try_shared():
            if time.monotonic() > until:
                raise CannotStart(
                    "INSTANCE_DOES_NOT_END",
                    f"The last instance of {directory.root} is still ending.",
                    f"Look into {directory.logs / 'supervisor.log'} for what keeps it.",
                )
            time.sleep(_TICK_S)

    def begin(self) -> None:
        """Start an instance unless one lives or is being started; returns at once."""
        if self._supervisor is not None and self._supervisor.poll() is None:
            return
        if is_served(self.directory):
            return
        with (self.directory.logs / "supervisor.log").open("ab") as log:
            # A session of its own: Ctrl-C and the end of this terminal reach the command alone.
            self._supervisor = subprocess.Popen(
                [sys.executable, "-P", "-m", "gateway.embedded", str(self.directory.root)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=with_bytecode_cache(os.environ),
                start_new_session=True,
            )

    async def instance(self) -> Instance:
        """The living instance, once it is ready; raises `CannotStart`."""
        # Imported here: `begin` comes first, and an instance starts while the command imports this.
        import asyncio

        until = time.monotonic() + _STARTS_WITHIN_S
        while time.monotonic() < until:
            recorded = read_instance(self.directory)
            if recorded and is_served(self.directory):
                return recorded
            self._notice_refusal()
            self.begin()
            await asyncio.sleep(_TICK_S)
        raise CannotStart(
            "INSTANCE_DID_NOT_START",
            f"No instance of {self.directory.root} became ready within {_STARTS_WITHIN_S:.0f} s.",
            f"Look into {self.directory.logs}.",
        )

    def failing(self) -> tuple[str, ...]:
        """The children of the living instance that do not start, by name."""
        recorded = read_instance(self.directory)
        return recorded.failing if recorded else ()

    def ends_when_unused(self) -> bool:
        """Whether a command started the living instance, so that it ends with its last user."""
        recorded = read_instance(self.directory)
        return recorded is not None and recorded.ends_when_unused

    def _notice_refusal(self) -> None:
        if self._supervisor is None or self._is_no_refusal(self._supervisor.poll()):
            return
        said = self._supervisor.stdout.read() if self._supervisor.stdout else b""
        try:
            body = json.loads(said)
        except ValueError:
            log = self.directory.logs / "supervisor.log"
            raise CannotStart(
                "INSTANCE_DID_NOT_START",
                f"The supervisor ended with status {self._supervisor.returncode}.",
                f"Its log is {log}.",
            ) from None
        raise CannotStart(body["code"], body["message"], body["suggestion"])

    @staticmethod
    def _is_no_refusal(status: int | None) -> bool:
        # Still alive, ended as it should, or killed, after which another one is started.
        return status is None or status in {0, ALREADY_SERVED} or status < 0

    def close(self) -> None:
        """Let the instance end, if nobody else uses it."""
        self._users.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
