"""What a person sees of a running job on stderr: live bars of its stages, or plain lines without a terminal."""

import sys
import time
from typing import TYPE_CHECKING, Protocol, Self

from gateway.command.interrupts import held

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PLAIN_LINE_EVERY_S = 2.0


class Display(Protocol):
    """One line of progress a stage, in the order in which the stages begin."""

    def show(self, stage: str, fraction: float, speed: str = "", eta_s: float | None = None) -> None:
        """`fraction` (0..1) of `stage` is done, at `speed`, with about `eta_s` to go."""

    def finish(self, stage: str) -> None:
        """The stage is over."""

    def note(self, text: str) -> None:
        """One line about something else."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def make_display() -> Display:
    """Bars on a terminal, lines elsewhere."""
    return Bars() if sys.stderr.isatty() else Lines()


def byte_speed(bytes_per_s: float | None) -> str:
    """As in `12.3 MB/s`; empty when it is not known."""
    if not bytes_per_s:
        return ""
    value = bytes_per_s
    for unit in ("B/s", "kB/s", "MB/s"):
        if value < 1000:
            return f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB/s"


def time_left(eta_s: float | None) -> str:
    """As in `1:07 left`; empty when it is not known."""
    if eta_s is None:
        return ""
    minutes, seconds = divmod(int(eta_s + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d} left" if hours else f"{minutes}:{seconds:02d} left"


class Lines:
    """For logs: a line when a stage begins, every two seconds while it lasts, and when it is over."""

    def __init__(self) -> None:
        self._written_at: dict[str, float] = {}

    def show(self, stage: str, fraction: float, speed: str = "", eta_s: float | None = None) -> None:
        now = time.monotonic()
        if now - self._written_at.get(stage, -_PLAIN_LINE_EVERY_S) < _PLAIN_LINE_EVERY_S:
            return
        self._written_at[stage] = now
        details = [part for part in (f"{fraction:4.0%}", speed, time_left(eta_s)) if part]
        sys.stderr.write(f"{stage:<10} {'  '.join(details)}\n")
        sys.stderr.flush()

    def finish(self, stage: str) -> None:
        sys.stderr.write(f"{stage:<10} done\n")
        sys.stderr.flush()

    def note(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Bars:
    """For a terminal: one bar a stage. The drawing library is imported with the first bar."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def show(self, stage: str, fraction: float, speed: str = "", eta_s: float | None = None) -> None:
        progress = self._drawn()
        if stage not in self._tasks:
            self._tasks[stage] = progress.add_task(stage, total=1.0, speed="", left="")
        progress.update(self._tasks[stage], completed=fraction, speed=speed, left=time_left(eta_s))

    def finish(self, stage: str) -> None:
        if stage in self._tasks:
            self._drawn().update(self._tasks[stage], completed=1.0, left="")

    def note(self, text: str) -> None:
        self._drawn().console.print(text, markup=False, highlight=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _drawn(self) -> "Progress":
        if self._progress is None:
            with held():
                from rich.console import Console
                from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            self._progress = Progress(
                TextColumn("{task.description:<10}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[speed]:>12}"),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
            )
            self._progress.start()
        return self._progress
