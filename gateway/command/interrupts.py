"""Ctrl-C and its relatives: the first asks the command to end in order, the second ends it at once."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Self

from gateway.command.failure import ExitCode

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_Handler = Callable[[int, FrameType | None], object]


class Interrupts:
    """While it is open, the first of these signals raises `KeyboardInterrupt` in the main thread."""

    def __init__(self) -> None:
        self._count = 0
        self._previous: dict[signal.Signals, object] = {}

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            os._exit(ExitCode.INTERRUPTED)
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
def held() -> Iterator[None]:
    """A step that no exception may leave in its middle: the first signal waits for its end, a second ends all at once.

    Such are a request that must be known to have been made or not, and an import: there Python may tell something else
    instead of the interrupt, or nothing, and leaves half a module.
    """
    came: list[Callable[[], object]] = []

    def handle(before: _Handler, number: int, _frame: FrameType | None) -> None:
        if came:
            os._exit(ExitCode.INTERRUPTED)
        came.append(partial(before, number, None))

    with _handled_by(handle):
        yield
    for late in came:
        late()


@contextlib.contextmanager
def in_order(interrupt: Callable[[], None]) -> Iterator[None]:
    """Within, the first signal whose handler would raise `KeyboardInterrupt` calls `interrupt` instead.

    An event loop that an exception may leave anywhere could not be used afterwards, to cancel a job for example.
    """
    interrupted = False

    def handle(before: _Handler, number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        try:
            before(number, frame)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            interrupt()

    with _handled_by(handle):
        yield


@contextlib.contextmanager
def _handled_by(handle: Callable[[_Handler, int, FrameType | None], object]) -> Iterator[None]:
    """Within, `handle` is called for each of the signals that a function handled before, with that function."""
    previous: dict[signal.Signals, _Handler] = {}
    try:
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if callable(before):
                previous[number] = before
                signal.signal(number, partial(handle, before))
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
