"""In which order partitions and inboxes are read."""

import random
from collections.abc import Iterable, Iterator

from actors.kernel.keys import PRIORITIES, Lane, Partitions

PRIORITY_WEIGHTS = {"high": 8, "normal": 3, "low": 1}


class Order:
    """Of one worker: one stage, one lane, all partitions. `quarantine` names the only inbox of a quarantine worker."""

    def __init__(self, partitions: Partitions, stage: str, lane: Lane, quarantine: str) -> None:
        self._keys = {partition: partitions.keys(partition) for partition in partitions}
        self._stage = stage
        self._lane = lane
        self._quarantine = quarantine
        self.partitions = list(partitions)
        """The partition that gave last is at the end."""

    def gave(self, partition: str) -> None:
        """The partition gave work: the others come first from now on."""
        position = self.partitions.index(partition) + 1
        self.partitions = self.partitions[position:] + self.partitions[:position]

    def first(self, partition: str) -> None:
        """The partition is read next."""
        self.partitions.remove(partition)
        self.partitions.insert(0, partition)

    def inboxes(self, partition: str) -> list[str]:
        """Keys of the inboxes: returned work, suspects, then the priorities drawn at random by weight."""
        keys = self._keys[partition]
        names = [f"@{self._quarantine}"] if self._quarantine else ["again", "alone", *_drawn_priorities()]
        return [keys.inbox(self._stage, self._lane, name) for name in names]

    def rung(self, inboxes: Iterable[str]) -> set[str]:
        """The partitions of inboxes that rang; all of them when none did."""
        found = {pp for inbox in inboxes for pp, keys in self._keys.items() if inbox.startswith(keys.root)}
        return found or set(self.partitions)


def _drawn_priorities() -> Iterator[str]:
    left = list(PRIORITIES)
    while left:
        drawn = random.choices(left, [PRIORITY_WEIGHTS[priority] for priority in left])[0]
        left.remove(drawn)
        yield drawn
