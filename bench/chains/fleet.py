"""Worker processes of one measurement: started together, read together, ended together."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from signal import SIGUSR1
from types import TracebackType
from typing import Any, Self

import msgspec

from bench.chains.orders import VARIABLE, Orders
from bench.systems.process import Reports, Running

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


def environment(**added: str) -> dict[str, str]:
    """Of a process of a benchmark: no setting of ours comes from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REELWAY_")}
    return kept | added


class Total(msgspec.Struct, frozen=True):
    """What one process, or all of them together, did since it began."""

    chains: int
    first_ns: int
    last_ns: int
    processor_ns: int
    takes: int
    taken: int

    @property
    def seconds(self) -> float:
        """From the begin to the last end."""
        return (self.last_ns - self.first_ns) / 1e9

    @property
    def batch(self) -> float:
        """Jobs in a take that gave any."""
        return self.taken / self.takes if self.takes else 0.0


def together(totals: list[Total]) -> Total:
    """From the first begin to the last end, and the sums."""
    return Total(
        chains=sum(each.chains for each in totals),
        first_ns=min(each.first_ns for each in totals),
        last_ns=max(each.last_ns for each in totals),
        processor_ns=sum(each.processor_ns for each in totals),
        takes=sum(each.takes for each in totals),
        taken=sum(each.taken for each in totals),
    )


def newest(seen: list[dict[str, Any]], event: str = "total") -> list[Total]:
    """The newest report of this event from each process."""
    found = {each["process"]: each for each in seen if each["event"] == event}
    return [msgspec.convert(each, Total) for each in found.values()]


class Fleet:
    """Processes of `bench.chains.worker`. They stand ready inside the `with` block and are gone behind it."""

    def __init__(self, orders: Orders, processes: int = 1) -> None:
        """`orders.report` is filled in here."""
        self._orders = orders
        self._processes = processes
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self.reports = self._stack.enter_context(Reports())
            orders = msgspec.structs.replace(self._orders, report=self.reports.path)
            told = environment(**{VARIABLE: msgspec.json.encode(orders).decode()})
            words = [sys.executable, "-m", "bench.chains.worker"]
            self.workers = [
                self._stack.enter_context(Running(words, ROOT, told, self.reports.folder / f"worker-{number}.log"))
                for number in range(self._processes)
            ]
            self.reports.wait("prepared", self._processes, PATIENCE_S, self.workers[0])
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def begin(self) -> None:
        """All at the same moment."""
        for worker in self.workers:
            worker.signal(SIGUSR1)

    def until(self, chains: int) -> Total:
        """Waits until so many chains have ended."""

        def look(seen: list[dict[str, Any]]) -> Total | None:
            totals = newest(seen)
            return together(totals) if sum(each.chains for each in totals) >= chains else None

        return self.reports.until(look, PATIENCE_S * 2, self.workers[0])

    def heard(self, event: str) -> Total:
        """Waits for the report of a window, from the only process."""
        self.reports.wait(event, 1, PATIENCE_S * 2, self.workers[0])
        return newest(self.reports.seen, event)[0]

    def end(self) -> None:
        """Lets every process end by itself."""
        for worker in self.workers:
            worker.stop()
