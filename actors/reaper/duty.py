"""The contract of a duty: one thing that the reaper does for one partition, again and again.

Each duty has a file of its own: what it does, how often, one run, and its events, each of which writes its log line and
its metric together. A duty may be done by any number of reapers at once, may fail at any point and is then done by the
next run: what it acts on is still there.
"""

from typing import Protocol

MOST_PER_CALL = 100
"""What one call of a keeper's verb acts on at most; fewer means that nothing is left."""
MOST_CALLS = 50
"""Bounds one run; the rest is for the next one."""


class Duty(Protocol):
    """One duty. Errors of the connection pass and end the whole pass; other errors end only this run."""

    name: str
    interval_s: float
    """Shortest pause between two runs for the same partition; 0: at every pass."""

    async def run(self, partition: str) -> None: ...
