"""Keys and rows that vanish from Redis.

What is fair: docs/operations.md, "Keys", promises that losing any key but `job` and `idem` loses no job. A fault
belongs here if its class says what brings the loss back. Not here, since jobs survive it but something else that is
promised or checked does not:

active           the list that `reconcile` itself walks: a job without its row is repaired no more
run              counts a tenant's limit: until the next round of `reconcile` more than allowed may run
kids             what a parent waits for: without it the parent goes on at once, without its children's results
log, jobs, dead  the timeline, the listing and the dead letters are kept nowhere else
deadlines        of jobs that have ended: nobody walks these, so such a job would never be forgotten
limit, hooks     what the operator said, not what the installation knows
job, idem        the truth
"""

import asyncio
import math
from time import monotonic

from actors.kernel.keys import GROUP
from actors.kernel.scripts import text
from tests.faults.house.house import House
from tests.faults.house.servers import ServerNode
from tests.faults.injection.fault import Blow, Fault, NothingToHit
from tests.faults.injection.redis import ask, living

PAGE = 1000
"""Keys a call of SCAN."""
LOOKS_EVERY_S = 0.1
FEED_KEPT = 10
"""Entries that a trimmed feed still has."""


async def found(house: House, pattern: str, kind: str) -> list[tuple[ServerNode, str]]:
    """Keys of all partitions that are called so below their roots, in the order of their names."""
    keys: dict[str, ServerNode] = {}
    for server in living(house):
        cursor = 0
        while True:
            answer = await ask(
                server, "SCAN", cursor, "MATCH", f"rw:{{p*}}:{pattern}", "COUNT", PAGE, "TYPE", kind
            )  # fmt: skip
            cursor = int(answer[0])
            keys |= {text(key): server for key in answer[1]}
            if cursor == 0:
                break
    return [(keys[key], key) for key in sorted(keys)]


class Loss(Fault):
    """Something of one key is lost."""

    weight = 0.9
    bounds_s = (1.0, 3.0)
    pattern: str
    kind: str

    async def strike(self, blow: Blow) -> None:
        server, key = blow.choose(await self.awaited(blow))
        await self.lose(blow, server, key)

    async def awaited(self, blow: Blow) -> list[tuple[ServerNode, str]]:
        """Many of these keys are there for moments only."""
        gives_up_at_s = monotonic() + blow.lasts_s
        while True:
            there = await self.candidates(blow.house)
            if there or monotonic() > gives_up_at_s:
                return there
            await asyncio.sleep(LOOKS_EVERY_S)

    async def candidates(self, house: House) -> list[tuple[ServerNode, str]]:
        return await found(house, self.pattern, self.kind)

    async def lose(self, blow: Blow, server: ServerNode, key: str) -> None:
        """Says so and does it; by default all of the key."""
        blow.begins(key)
        if not await ask(server, "DEL", key):
            raise NothingToHit(f"{key} was gone")


class InboxLoss(Loss):
    """Hints are lost. `reconcile` gives a queued job a new one where its own is not there or was delivered to nobody;
    of a running job the hint means nothing."""

    pattern = "in:*"
    kind = "stream"

    async def candidates(self, house: House) -> list[tuple[ServerNode, str]]:
        """Inboxes with something in them."""
        inboxes = await super().candidates(house)
        return [(server, inbox) for server, inbox in inboxes if await ask(server, "XLEN", inbox)]


class DeleteStream(InboxLoss):
    """A whole inbox with its group."""

    name = "delete_stream"


class DeleteGroup(InboxLoss):
    """The group of an inbox: what was delivered once is delivered again, and `take` must tell what is stale."""

    name = "delete_group"

    async def lose(self, blow: Blow, server: ServerNode, key: str) -> None:
        blow.begins(key)
        if not await ask(server, "XGROUP", "DESTROY", key, GROUP):
            raise NothingToHit(f"{key} had no group")


class DeleteConsumers(InboxLoss):
    """All consumers of an inbox with their pending lists: what was delivered to them nobody has."""

    name = "delete_consumers"

    async def lose(self, blow: Blow, server: ServerNode, key: str) -> None:
        consumers = [facts["name"] for facts in await server.client.xinfo_consumers(key, GROUP)]
        if not consumers:
            raise NothingToHit(f"{key} has no consumers")
        blow.begins(key, detail=f"{len(consumers)} consumers")
        for consumer in consumers:
            await ask(server, "XGROUP", "DELCONSUMER", key, GROUP, consumer)


class TrimInbox(InboxLoss):
    """Every entry of an inbox; the stream and its group stay."""

    name = "trim_inbox"

    async def lose(self, blow: Blow, server: ServerNode, key: str) -> None:
        blow.begins(key)
        await ask(server, "XTRIM", key, "MAXLEN", 0)


class RowLoss(Loss):
    """Up to half of the rows of a sorted set."""

    kind = "zset"

    async def lose(self, blow: Blow, server: ServerNode, key: str) -> None:
        rows = [text(row) for row in await ask(server, "ZRANGE", key, 0, -1)]
        count = blow.chance.randint(1, max(1, len(rows) // 2))
        lost = blow.chance.sample(rows, min(count, len(rows)))
        blow.begins(key, *lost)
        if not lost or not await ask(server, "ZREM", key, *lost):
            raise NothingToHit(f"the rows of {key} were gone")


class DeleteLeases(RowLoss):
    """The next beat writes the row again; if the worker is dead `reconcile` does, and the lease runs out then."""

    name = "delete_leases"
    pattern = "leases"


class DeleteDue(RowLoss):
    """`reconcile` gives a delayed job a row that is due at once: a delay that is not known any more has ended."""

    name = "delete_due"
    pattern = "due"


class DeleteHeld(RowLoss):
    """`reconcile` puts a held job back under the turn that its hash names."""

    name = "delete_held"
    pattern = "hold:*"


LOSE_DEADLINES = """
local lost = 0
for _, id in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[2], id) then lost = lost + redis.call('ZREM', KEYS[1], id) end
end
return lost
"""


class DeleteDeadlines(Loss):
    """Of jobs that have not ended, checked in the same step: `reconcile` writes the row again from the job's hash."""

    name = "delete_deadlines"
    pattern = "deadlines"
    kind = "zset"

    async def lose(self, blow: Blow, server: ServerNode, key: str) -> None:
        active = key.removesuffix(self.pattern) + "active"
        rows = [text(row) for row in await ask(server, "ZRANGE", active, 0, -1)]
        if not rows:
            raise NothingToHit(f"no job of {key} is unfinished")
        blow.chance.shuffle(rows)
        lost = rows[: math.ceil(len(rows) / 2)]
        blow.begins(key, *lost)
        if not await ask(server, "EVAL", LOSE_DEADLINES, 2, key, active, *lost):
            raise NothingToHit(f"the jobs of {key} had ended")


class DeleteReady(Loss):
    """A tenant's window: `reconcile` counts its queued jobs again. Meanwhile too many hints may lie in inboxes; `take`
    holds what is beyond the limit, so no limit is broken."""

    name = "delete_ready"
    pattern = "ready:*"
    kind = "set"


class DeleteWidth(Loss):
    """How many hints a window has: the next `take` says it again."""

    name = "delete_width"
    pattern = "width:*"
    kind = "string"


class DeleteTaken(Loss):
    """What calls of `take` granted. If a reply is lost too, its repeat grants other jobs, and the leases of the
    first ones run out: a crash each, and nothing lost."""

    name = "delete_taken"
    pattern = "taken:*"
    kind = "string"

    async def strike(self, blow: Blow) -> None:
        rows = await self.awaited(blow)
        blow.choose(rows)
        blow.begins(*(key for _, key in rows[:20]), detail=f"{len(rows)} rows")
        for server, key in rows:
            await ask(server, "DEL", key)


class DeletePulse(Loss):
    """Progress that nobody has read yet; it is never replayed anyway."""

    name = "delete_pulse"
    pattern = "pulse"
    kind = "stream"


class FeedLoss(Loss):
    """Events that watchers of many jobs have not read yet: they are told `resync`. Each job's own log stays."""

    pattern = "feed"
    kind = "stream"


class TrimFeed(FeedLoss):
    """All but the last few entries."""

    name = "trim_feed"

    async def lose(self, blow: Blow, server: ServerNode, key: str) -> None:
        blow.begins(key)
        if not await ask(server, "XTRIM", key, "MAXLEN", FEED_KEPT):
            raise NothingToHit(f"{key} was short already")


class DeleteFeed(FeedLoss):
    """The feed, its identity, or both: the next event begins a new feed under a new identity; to a feed that is left
    without one `reconcile` gives one."""

    name = "delete_feed"

    async def lose(self, blow: Blow, server: ServerNode, key: str) -> None:
        epoch = key.removesuffix(self.pattern) + "epoch"
        victims = blow.choose([(key, epoch), (key, epoch), (key,), (epoch,)])
        blow.begins(*victims)
        await ask(server, "DEL", *victims)
