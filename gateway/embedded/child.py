"""A child process of the supervisor: it dies with the supervisor, and is started again when it ends by itself."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 2.0
_SETTLED_AFTER_S = 10.0
_QUICK_ENDS_THAT_MEAN_FAILING = 3
_LARGEST_LOG_BYTES = 10 * 2**20

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> Callable[[], None]:
    """What a forked child runs before exec so that it never outlives process `parent`, not even its kill -9.

    The kernel binds the signal to the thread that forked, so only the main thread, which lives as long as the process,
    may start children. A parent that died between fork and prctl is noticed by the changed parent id.
    """

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


class Child:
    """One child and when it may start again.

    `start` and `tend` are called by the supervisor's main thread only. A child that ends within ten seconds again and
    again is started after 0.1 s, 0.2 s, … up to 2 s; `failures` counts those quick ends in a row.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.failures = 0
        self.last_exit: int | None = None
        self._command = command
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._next_start_at = 0.0

    @property
    def pid(self) -> int | None:
        """The living process, or None."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it now, in a process group of its own, its output going to its log file."""
        self._turn_log_over()
        with self._log.open("ab") as log:
            # Its own group: Ctrl-C in a terminal reaches the supervisor alone, which then stops everything in order.
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=die_with_parent(os.getpid()),  # safe: the supervisor has one thread
            )
        self._started_at = time.monotonic()

    def has_ended(self) -> bool:
        """Whether the process ended since the last call; sets when it may start again."""
        if self._process is None or self._process.poll() is None:
            return False
        self.last_exit = self._process.returncode
        self._process = None
        if time.monotonic() - self._started_at > _SETTLED_AFTER_S:
            self.failures = 0
            self._next_start_at = time.monotonic() + _FIRST_DELAY_S
        else:
            self.postpone()
        return True

    def postpone(self) -> None:
        """It ended at once, or could not even be started."""
        self.failures += 1
        delay_s = min(_FIRST_DELAY_S * 2 ** min(self.failures - 1, 8), _LONGEST_DELAY_S)
        self._next_start_at = time.monotonic() + delay_s

    @property
    def is_failing(self) -> bool:
        """Whether it ended three times in a row as soon as it was started, and has not settled since."""
        if self.failures < _QUICK_ENDS_THAT_MEAN_FAILING:
            return False
        return self._process is None or time.monotonic() - self._started_at <= _SETTLED_AFTER_S

    def waits_s(self) -> float | None:
        """Seconds until it may start again; None while it runs."""
        return None if self._process else max(0.0, self._next_start_at - time.monotonic())

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it lives."""
        if self._process:
            self._process.send_signal(number)

    def wait(self, until: float) -> bool:
        """Wait until it has ended or the monotonic time `until`; whether it has ended."""
        if self._process is None:
            return True
        try:
            self.last_exit = self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        self._process = None
        return True

    def _turn_log_over(self) -> None:
        if self._log.exists() and self._log.stat().st_size > _LARGEST_LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
