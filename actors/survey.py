"""What waits, runs and is set aside in one partition: the figures of the operator's page and of the metrics."""

import msgspec

from actors.inboxes import Inbox, inboxes
from actors.kernel import Keys
from actors.kernel.system_scripts import SystemScripts


class Figures(msgspec.Struct, frozen=True):
    """One partition, read at one moment."""

    running: int
    delayed: int
    active: int
    dead: int
    quarantined: int
    waiting: dict[Inbox, int]
    """Hints that nobody has taken yet."""
    oldest_s: dict[Inbox, float]
    """Age of the oldest of them, where one waits."""

    @property
    def held(self) -> int:
        """What is neither waiting in an inbox nor running nor delayed: also what waits for its children."""
        return max(0, self.active - self.running - self.delayed - sum(self.waiting.values()))


async def read_figures(scripts: SystemScripts, keys: Keys) -> Figures:
    """Errors of the connection pass."""
    known = inboxes(keys)
    sets = [keys.leases, keys.due, keys.active, keys.dead, f"{keys.root}quarantine"]
    now_ms, *counts = map(int, await scripts.call("survey", [*sets, *known]))
    of_inboxes = list(zip(known.values(), counts[5::2], counts[6::2], strict=True))
    running, delayed, active, dead, quarantined = counts[:5]
    return Figures(
        running=running,
        delayed=delayed,
        active=active,
        dead=dead,
        quarantined=quarantined,
        waiting={inbox: waiting for inbox, waiting, _ in of_inboxes},
        oldest_s={inbox: max(0, now_ms - since_ms) / 1000 for inbox, _, since_ms in of_inboxes if since_ms},
    )
