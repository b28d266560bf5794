"""Duty: consumers of workers that are gone are dropped from the inboxes."""

import structlog
from prometheus_client import Counter

from actors.inboxes import inboxes
from actors.kernel import Partitions
from actors.kernel.consumers import Consumers

DROPPED = Counter("reelway_consumers_dropped_total", "Consumers of gone workers that were deleted from inboxes.")
log = structlog.get_logger("reaper")


class IdleConsumers:
    """One inbox a run, each inbox about once a `round_s`."""

    name = "consumers"

    def __init__(self, consumers: Consumers, partitions: Partitions, round_s: float) -> None:
        self._consumers = consumers
        self._inboxes = {partition: list(inboxes(partitions.keys(partition))) for partition in partitions}
        self.interval_s = round_s / max(len(found) for found in self._inboxes.values())

    async def run(self, partition: str) -> None:
        turn = self._inboxes[partition]
        turn.append(turn.pop(0))
        dropped = await self._consumers.drop(partition, turn[-1])
        if dropped:
            _dropped(turn[-1], dropped)


def _dropped(inbox: str, names: list[str]) -> None:
    DROPPED.inc(len(names))
    log.info("consumers.dropped", inbox=inbox, names=names)
