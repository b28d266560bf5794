"""Actors of one process, which go on with each other's jobs.

A stage that ends names the next one. Where an actor of the same process works on that one and has a free place, the
commit offers to keep the job: if nobody else waits for the stage, it runs there at once, without a hint, a ring of the
doorbell and a take. Otherwise it is queued like any other.
"""

from typing import Protocol

import msgspec

from actors.kernel.handler import Next
from actors.kernel.items import Grant


class Neighbour(Protocol):
    """An actor that can be given a job."""

    @property
    def name(self) -> str:
        """Its stage."""

    @property
    def lane(self) -> str: ...

    @property
    def worker_name(self) -> str: ...

    def reserve(self) -> bool:
        """Keeps a place free until `receive` or `give_up`; False where there is none."""

    def give_up(self) -> None:
        """The place that was kept is not needed."""

    def receive(self, partition: str, grant: Grant) -> None:
        """A job for the place that was kept."""


class Neighbours:
    """Who works on what in this process. Actors join when they begin to take and leave when they stop."""

    def __init__(self) -> None:
        self._actors: dict[tuple[str, str], Neighbour] = {}

    def join(self, actor: Neighbour) -> None:
        self._actors[actor.name, actor.lane] = actor

    def leave(self, actor: Neighbour) -> None:
        self._actors.pop((actor.name, actor.lane), None)

    def reserve(self, stage: str, lane: str) -> Neighbour | None:
        """An actor with a place for the stage, which is kept free."""
        actor = self._actors.get((stage, lane))
        return actor if actor is not None and actor.reserve() else None


def following_grant(grant: Grant, result: Next, percent: float) -> Grant:
    """What `take` would have granted for the next stage of a job that was kept (lua/commit.lua)."""
    takes, _, nonce = grant.fence.partition(".")
    return msgspec.structs.replace(
        grant,
        fence=f"{int(takes) + 1}.{nonce}",
        stage=result.stage,
        lane=result.lane,
        attempt=0,
        crashes=0,
        percent=percent,
        input=result.input,
        refs=result.refs,
    )
