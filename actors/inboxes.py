"""Which inboxes an installation has: every stage, lane and priority, without those of quarantine workers."""

from collections.abc import Mapping
from itertools import product
from typing import Literal

from actors.kernel import Keys
from actors.kernel.keys import PRIORITIES, Lane

Stage = Literal["ingest", "fetch", "transcode", "store", "notify"]
LANES: Mapping[Stage, tuple[Lane, ...]] = {
    "ingest": ("cpu",),
    "fetch": ("cpu",),
    "transcode": ("cpu", "gpu"),
    "store": ("cpu",),
    "notify": ("cpu",),
}
"""Stage to its lanes."""
NAMES = ("again", "alone", *PRIORITIES)
Inbox = tuple[str, Lane, str]
"""Stage, lane and name."""
INBOXES: tuple[Inbox, ...] = tuple(
    (stage, lane, name) for stage, lanes in LANES.items() for lane, name in product(lanes, NAMES)
)


def inboxes(keys: Keys) -> dict[str, Inbox]:
    """Key of every inbox of a partition."""
    return {keys.inbox(*inbox): inbox for inbox in INBOXES}
