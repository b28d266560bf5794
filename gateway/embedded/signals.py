"""Signals as something a loop can wait for."""

import os
import select
import signal
import time
from types import FrameType


class SignalWaiter:
    """Counts requests to stop, and wakes a waiting main thread on those and on the end of a child."""

    def __init__(self) -> None:
        self.stop_requests = 0
        self._reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup
            signal.signal(number, self._count)
        # The handler does nothing: only with a handler does the signal reach the wake-up descriptor.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_requests += 1

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or sooner when a signal came."""
        ready, _, _ = select.select([self._reader], [], [], max(0.0, seconds))
        if ready:
            os.read(self._reader, 4096)

    def wait_until(self, moment: float) -> None:
        """`wait` until the monotonic time `moment`."""
        self.wait(moment - time.monotonic())
