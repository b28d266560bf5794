"""Which inboxes an installation has: every stage, lane and priority, without those of quarantine workers."""

from collections.abc import Mapping
from itertools import product

from actors.kernel import Keys

LANES: Mapping[str, tuple[str, ...]] = {
    "ingest": ("cpu",),
    "fetch": ("cpu",),
    "transcode": ("cpu", "gpu"),
    "store": ("cpu",),
    "notify": ("cpu",),
}
"""Stage to its lanes."""
PRIORITIES = ("again", "alone", "high", "normal", "low")


def inboxes(keys: Keys) -> dict[str, tuple[str, str, str]]:
    """Key of every inbox of a partition, with its stage, lane and priority."""
    return {
        keys.inbox(stage, lane, priority): (stage, lane, priority)
        for stage, lanes in LANES.items()
        for lane, priority in product(lanes, PRIORITIES)
    }
