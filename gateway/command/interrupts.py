"""Ctrl-C and its relatives: the first asks the command to end in order, the second ends it at once."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Self

from gateway.command.failure import ExitCode

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is open, the first of these signals raises `KeyboardInterrupt` in the main thread."""

    def __init__(self) -> None:
        self._count = 0
        self._held = False
        self._previous: dict[signal.Signals, object] = {}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A step that must be known to have happened or not: the first signal waits for its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._count:
            raise KeyboardInterrupt

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            os._exit(ExitCode.INTERRUPTED)
        if not self._held:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave is what it takes


@contextlib.contextmanager
def in_order(interrupt: Callable[[], None]) -> Iterator[None]:
    """Within, the first signal whose handler would raise `KeyboardInterrupt` calls `interrupt` instead.

    An event loop that an exception may leave anywhere could not be used afterwards, to cancel a job for example.
    """
    interrupted = False
    previous: dict[signal.Signals, Callable[[int, FrameType | None], object]] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        try:
            previous[signal.Signals(number)](number, frame)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            interrupt()

    try:
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                previous[number] = handler
                signal.signal(number, handle)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
