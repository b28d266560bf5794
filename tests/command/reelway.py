"""The command as a user runs it, with a data directory of its own, and what a test needs to look behind it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from actors.settings import Settings
from gateway.client.documents import Job
from gateway.client.events import Event
from gateway.command.calls import Calls
from gateway.command.connection import Connection
from gateway.embedded.data_directory import DataDirectory
from tests.command.waiting import is_alive, processes_naming, wait_for

COMMAND = str(Path(sys.executable).with_name("reelway"))
"""The installed script. Python ends a module that was run with `-m` by SIGINT, whatever code it returned, if an
interrupt that it handled had once gone through an executed string (of which dataclasses and named tuples are made).
"""
LOOPBACK = {"REELWAY_EGRESS_ALLOW": "127.0.0.0/8"}
"""The sites of the tests lie on this machine."""


class Ended(NamedTuple):
    """How one run of the command ended."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """The one line of JSON that is all of stdout."""
        assert self.stdout.count("\n") == 1, self.stdout
        return json.loads(self.stdout)


class Reelway:
    """`environment` is added to the test's own, from which every REELWAY_ name is taken."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")}
        self.environment = {**kept, "REELWAY_DATA_DIR": str(self.data), **(environment or {})}

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Begin a command in this folder."""
        return subprocess.Popen(
            [COMMAND, *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, within_s: float = 60.0, **environment: str) -> Ended:
        """A command to its end."""
        return finish(self.start(*words, **environment), within_s)

    def processes(self) -> dict[int, str]:
        """Everything that works for this data directory, by process id."""
        return processes_naming(str(self.data))

    def wait_for_ffmpeg(self) -> None:
        """Returns once ffmpeg works on something."""
        wait_for(lambda: [one for one in self.processes().values() if "-progress" in one], "ffmpeg works", 20)

    def end(self) -> None:
        """Kill whatever is left, and remove what a killed supervisor could not."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        wait_for(lambda: not self.processes(), "every process is gone")
        DataDirectory(self.data).remove_socket_directory()

    @contextmanager
    def up(self, *words: str, **environment: str) -> Iterator["Up"]:
        """`reelway up`, ready."""
        process = self.start("up", "--json", "--port", "0", *words, **environment)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, finish(process, 10)
            told = json.loads(line)
            named = {"REELWAY_URL": told["url"], "REELWAY_KEY": told["key"]}
            with Calls(Connection(Settings(data_dir=self.data), named)) as calls:
                yield Up(self, process, calls, **told)
        finally:
            _insist_on_end(process)
            finish(process, 10)


class Up:
    """A running `reelway up` and a client of it."""

    def __init__(self, command: Reelway, process: subprocess.Popen[str], calls: Calls, url: str, key: str) -> None:
        self.command = command
        self.process = process
        self.url = url
        self.key = key
        self.calls = calls
        self.client = calls.client

    def child(self, *words: str) -> int:
        """The process id of the child whose command line has all `words`, folders left aside."""

        def look() -> int | None:
            folder = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            for pid in map(int, folder.read_text().split()):
                try:
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ").split()
                except FileNotFoundError:
                    continue
                if is_alive(pid) and set(words) <= {part.rpartition("/")[2] for part in command}:
                    return pid
            return None

        return wait_for(look, f"a child {words}")

    def submit(self, source: str) -> Job:
        """An mp3 of it, please."""
        return self.calls.run(self.client.submit(source, "mp3"))

    def job(self, job: str) -> Job:
        """The job as it is now."""
        return self.calls.run(self.client.job(job))

    def events(self, job: str) -> Iterator[Event]:
        """The job's events, live."""
        return self.calls.each(self.client.watch(job))

    def end_of(self, job: str) -> Job:
        """The job once it has ended."""
        return self.calls.run(self.client.wait(job))

    def timeline(self, job: str) -> tuple[Event, ...]:
        """The durable events of the job."""
        return self.calls.run(self.client.events(job))


def _insist_on_end(process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < until:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)


def finish(process: subprocess.Popen[str], within_s: float) -> Ended:
    """Wait for a command; one that hangs is killed and told."""
    try:
        stdout, stderr = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"not ended within {within_s} s:\n{stdout}\n{stderr}") from None
    return Ended(process.returncode, stdout, stderr)
