"""The supervisor: starts a private Redis and the roles, starts again what ends, and stops them in order.

It does nothing else: no job passes through it. One lives per data directory (`serving.lock`). It has one thread, which
starts all children, because a child's death with its parent is bound to the thread that started it.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable

import msgspec

from actors.version import installed_version
from gateway.embedded import journal
from gateway.embedded.child import Child
from gateway.embedded.data_directory import DataDirectory, unusable
from gateway.embedded.environment import child_environment, ensure_key
from gateway.embedded.failure import CannotStart
from gateway.embedded.instance import FileLock, Instance, write_instance
from gateway.embedded.port import ReservedPort
from gateway.embedded.readiness import gateway_is_ready, last_line
from gateway.embedded.redis_server import find_redis_program, redis_answers, redis_command
from gateway.embedded.signals import SignalWaiter

ACTORS = ("ingest", "fetch", "store", "notify")
_STARTS_WITHIN_S = 30.0
_LOADS_WITHIN_S = 300.0
_TICK_S = 0.005
_USERS_CHECK_S = 0.05
_LOOK_AGAIN_S = 5.0
_INSISTS_EVERY_S = 0.25
# So that the next command of a shell loop finds the instance of the one before.
_LINGERS_S = 0.2


class AlreadyServed(Exception):
    """Another supervisor serves this data directory."""


class Options(msgspec.Struct, frozen=True):
    """`port` 0 picks a free one; `key` None uses the data directory's own. With `ends_when_unused` the supervisor ends
    once no command uses it.

    Told to stop, the roles have `drain_s` to finish what they can; they are told again then and killed `kill_s` later.
    """

    host: str
    port: int
    key: str | None
    ends_when_unused: bool
    drain_s: float
    kill_s: float


# What a command starts ends with its last user, within two seconds: there is nobody left to wait for the work.
FOR_COMMANDS = Options(host="127.0.0.1", port=0, key=None, ends_when_unused=True, drain_s=0.5, kill_s=0.7)


class _Stopped(Exception):
    """Told to stop before everything had started."""


class Supervisor:
    """`run` is the whole life of one. All fields are written by the main thread."""

    def __init__(self, directory: DataDirectory, options: Options) -> None:
        self._directory = directory
        self._options = options
        self._signals = SignalWaiter()
        self._redis: Child | None = None
        self._roles: list[Child] = []
        self._users: FileLock | None = None
        self._instance: Instance | None = None
        self._unused = False
        self._unused_since: float | None = None

    def run(self, announce: Callable[[Instance], None]) -> None:
        """Serve the data directory until told to stop; `announce` hears the instance once it is ready.

        Raises `AlreadyServed`, or `CannotStart` with everything stopped again.
        """
        self._directory.create()
        with FileLock(self._directory.serving_lock) as serving, FileLock(self._directory.users_lock) as users:
            self._claim(serving)
            self._users = users if self._options.ends_when_unused else None
            try:
                self._serve(announce)
            except OSError as error:
                raise unusable(self._directory.root, error) from error

    def _claim(self, serving: FileLock) -> None:
        # A command that looks whether the directory is served holds the lock for an instant.
        until = time.monotonic() + 0.2
        while not serving.try_exclusive():
            if time.monotonic() > until:
                raise AlreadyServed
            self._signals.wait(_TICK_S)
        self._directory.instance_file.unlink(missing_ok=True)

    def _serve(self, announce: Callable[[Instance], None]) -> None:
        with contextlib.closing(ReservedPort(self._options.host, self._options.port)) as port:
            try:
                self._start(port, announce)
                self._tend()
            except _Stopped:
                pass
            finally:
                self._stop()

    # --- starting

    def _start(self, port: ReservedPort, announce: Callable[[Instance], None]) -> None:
        directory = self._directory
        key = ensure_key(directory, self._options.key)
        was_drained = self._start_redis()
        environment = child_environment(os.environ, directory, directory.redis_socket(), self._options.host, port.port)
        gateway = self._add_role("gateway", ["gateway", "reaper"], environment)
        if not was_drained:
            self._give_back(environment)
        self._add_role("actors", list(ACTORS), environment)
        self._add_role("transcode", ["transcode"], environment)
        started_at = journal.rfc3339(time.time())
        instance = Instance(
            port.url(), key, os.getpid(), installed_version(), started_at, self._options.ends_when_unused
        )
        self._await_gateway(gateway, port)
        write_instance(directory, instance)
        self._instance = instance
        journal.write("info", "instance.ready", url=instance.url)
        announce(instance)

    def _start_redis(self) -> bool:
        """Start Redis and wait until it answers; whether the last instance left no lease behind."""
        directory = self._directory
        program = find_redis_program(directory)
        is_new = not directory.version_file.exists()
        directory.version_file.write_text(program.version_text + "\n")
        was_drained = is_new or directory.drained_mark.exists()
        directory.drained_mark.unlink(missing_ok=True)
        socket_path = directory.socket_directory() / "redis.sock"
        command = redis_command(program, directory, socket_path)
        self._redis = Child("redis", command, os.environ, directory.logs / "redis.log")
        self._redis.start()
        until = time.monotonic() + _LOADS_WITHIN_S
        while not redis_answers(socket_path):
            if self._redis.has_ended() or time.monotonic() > until:
                raise CannotStart(
                    "REDIS_DID_NOT_START",
                    f"Redis {program.version_text} did not start: {last_line(directory.logs / 'redis.log')}",
                    f"Its log is {directory.logs / 'redis.log'}.",
                )
            self._pause()
        return was_drained

    def _add_role(self, name: str, roles: list[str], environment: dict[str, str]) -> Child:
        # -P: a file in the working directory never stands in for a module.
        command = [sys.executable, "-P", "-m", "gateway.command.main", "run", *roles]
        child = Child(name, command, environment, self._directory.logs / f"{name}.log")
        self._roles.append(child)
        child.start()
        return child

    def _give_back(self, environment: dict[str, str]) -> None:
        log = self._directory.logs / "give_back.log"
        command = [sys.executable, "-P", "-m", "gateway.embedded.give_back"]
        child = Child("give_back", command, environment, log)
        child.start()
        until = time.monotonic() + _STARTS_WITHIN_S
        while not child.has_ended():
            if time.monotonic() > until:
                child.send(signal.SIGKILL)
            self._pause()
        if child.last_exit != 0:
            # Not fatal: the leases run out by themselves, and reap ends them.
            journal.write("warning", "give_back.failed", log=str(log), exit=child.last_exit)

    def _await_gateway(self, gateway: Child, port: ReservedPort) -> None:
        until = time.monotonic() + _STARTS_WITHIN_S
        while not gateway_is_ready(port):
            if gateway.has_ended() or time.monotonic() > until:
                raise CannotStart(
                    "GATEWAY_DID_NOT_START",
                    f"The gateway did not start: {last_line(self._directory.logs / 'gateway.log')}",
                    f"Its log is {self._directory.logs / 'gateway.log'}.",
                )
            self._restart_ended()
            self._pause()

    def _pause(self) -> None:
        """One short wait while starting; raises `_Stopped` when there is no use in going on."""
        self._signals.wait(_TICK_S)
        if self._signals.stop_requests or self._is_unused():
            raise _Stopped

    # --- running

    def _tend(self) -> None:
        while not self._signals.stop_requests and not self._is_unused():
            self._restart_ended()
            waits = [child.waits_s() for child in self._children()]
            look_again_s = _USERS_CHECK_S if self._users else _LOOK_AGAIN_S
            self._signals.wait(min([look_again_s, *(wait for wait in waits if wait is not None)]))

    def _children(self) -> list[Child]:
        return [*([self._redis] if self._redis else []), *self._roles]

    def _restart_ended(self) -> None:
        for child in self._children():
            if child.has_ended():
                journal.write("warning", "child.ended", child=child.name, exit=child.last_exit, again=child.failures)
            if child.waits_s() == 0.0:
                self._start_again(child)
        self._record_failing()

    def _start_again(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:
            # No room for its log, no process to be had: the others go on, and so does trying.
            child.postpone()
            journal.write("error", "child.not_started", child=child.name, error=str(error))

    def _record_failing(self) -> None:
        if self._instance is None:
            return
        failing = tuple(child.name for child in self._children() if child.is_failing)
        if failing != self._instance.failing:
            self._instance = msgspec.structs.replace(self._instance, failing=failing)
            try:
                write_instance(self._directory, self._instance)
            except OSError as error:
                journal.write("warning", "instance.not_recorded", error=str(error))

    def _is_unused(self) -> bool:
        """Whether no command has used the instance for a moment; then none can begin to until it has ended."""
        if self._users is None or self._unused:
            return self._unused
        if not self._users.try_exclusive():
            self._unused_since = None
        elif self._unused_since is None:
            self._unused_since = time.monotonic()
            self._users.release()
        elif time.monotonic() - self._unused_since < _LINGERS_S:
            self._users.release()
        else:
            self._unused = True
        return self._unused

    # --- stopping

    def _stop(self) -> None:
        self._directory.instance_file.unlink(missing_ok=True)
        drained = self._stop_roles()
        if self._redis:
            self._end([self._redis], drain_s=5.0, kill_s=1.0)
            if drained:
                self._directory.drained_mark.touch()
        self._directory.remove_socket_directory()
        journal.write("info", "instance.stopped")

    def _stop_roles(self) -> bool:
        """Drain the roles, then insist; whether all of them ended by themselves."""
        self._end(self._roles, self._options.drain_s, self._options.kill_s)
        return all(child.last_exit == 0 for child in self._roles)

    def _end(self, children: list[Child], drain_s: float, kill_s: float) -> None:
        already_told = self._signals.stop_requests
        drained_by = time.monotonic() + drain_s
        self._tell(children, signal.SIGTERM)
        self._await_end(children, drained_by, already_told)
        kill_at = time.monotonic() + kill_s
        while any(child.pid for child in children) and time.monotonic() < kill_at:
            # Again and again: two signals that meet at a busy process are one to it.
            self._tell(children, signal.SIGTERM)
            self._await_end(children, min(kill_at, time.monotonic() + _INSISTS_EVERY_S), None)
        self._tell(children, signal.SIGKILL)
        self._await_end(children, time.monotonic() + 5.0, None)

    def _tell(self, children: list[Child], number: signal.Signals) -> None:
        for child in children:
            child.send(number)

    def _await_end(self, children: list[Child], until: float, already_told: int | None) -> None:
        """Wait for all of `children` until the monotonic time, or until somebody asks again to stop."""
        while True:
            for child in children:
                child.has_ended()
            if all(child.pid is None for child in children) or time.monotonic() >= until:
                return
            if already_told is not None and self._signals.stop_requests > max(already_told, 1):
                return
            self._signals.wait_until(until)
