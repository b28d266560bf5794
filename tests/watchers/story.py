"""What one watcher of one job lived through, in order. The checker reads nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tests.watchers.frames import Frame

Answer = Literal["stream", "ended", "unknown"]
"""Of a connection: it streams, the client is told to stop (204), or there is no such job (404)."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection was answered. `cursor` is what the client sent; `primed`: it is told a cursor first of all."""

    cursor: str | None
    answer: Answer
    primed: bool = True


@dataclass(frozen=True, slots=True)
class Left:
    """The watcher did not stay to the end."""


Item = Connected | Frame | Left


@dataclass(slots=True)
class Story:
    """`refusals` counts attempts without an answer: there was nobody, or the connection broke before one."""

    watcher: str
    job: str
    """Empty: all jobs of the tenant."""
    items: list[Item] = field(default_factory=list)
    refusals: int = 0

    def frames(self, event: str) -> Iterator[Frame]:
        return (item for item in self.items if isinstance(item, Frame) and item.event == event)
