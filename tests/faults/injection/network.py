"""One process's way to Redis, which leads through a proxy of its own: replies are lost, nothing passes, all breaks."""

import asyncio
from collections.abc import Callable

from actors.kernel.scripts import script
from tests.faults.house.network import SocketProxy
from tests.faults.house.process import RoleProcess
from tests.faults.house.times import LEASE_S
from tests.faults.injection.claims import claim, unclaimed
from tests.faults.injection.fault import Blow, Fault, NothingToHit, comes_true
from tests.faults.injection.processes import running
from tests.faults.plan import Profile

LATEST_REPLY = 40
WORKER_VERBS = ("take", "beat", "commit", "fail", "release", "spawn")
GATEWAY_VERBS = ("submit", "cancel", "replay", "promote", "reap", "expire", "reconcile", "retention")


class NetworkFault(Fault):
    """Hits what a process says to Redis. A Redis Cluster tells its clients where its nodes are, past any proxy."""

    def possible(self, profile: Profile) -> bool:
        return profile.topology == "single"


def _choose(blow: Blow, how: str) -> tuple[RoleProcess, SocketProxy]:
    processes = [process for process in running(blow.house) if process.proxy is not None]
    free = {id(proxy) for proxy in unclaimed((process.proxy for process in processes), how)}
    process = blow.choose([process for process in processes if id(process.proxy) in free])
    assert process.proxy is not None
    return process, process.proxy


async def _lose(blow: Blow, name: str, proxy: SocketProxy, detail: str, arm: Callable[[], None]) -> None:
    """One reply; says so if none came in time."""
    losses = proxy.losses
    blow.begins(name, detail=detail)
    try:
        arm()
        if not await comes_true(lambda: proxy.losses > losses, blow.lasts_s):
            raise NothingToHit("no such request came")
    finally:
        proxy.lose_replies()


class LoseReply(NetworkFault):
    """A request is carried out, and the next thing that its sender sees is a broken connection."""

    name = "lose_reply"
    weight = 4.0
    bounds_s = (4.0, 10.0)

    async def strike(self, blow: Blow) -> None:
        process, proxy = _choose(blow, "lose")
        ahead = blow.chance.randint(1, LATEST_REPLY)
        with claim(proxy, "lose"):
            await _lose(
                blow, process.name, proxy, f"of request {ahead} from now",
                lambda: proxy.lose_replies(proxy.requests + ahead),
            )  # fmt: skip


class LoseReplyOf(NetworkFault):
    """The same for one verb, so that the rare ones are met as well."""

    name = "lose_reply_of"
    weight = 5.0
    bounds_s = (4.0, 10.0)

    async def strike(self, blow: Blow) -> None:
        process, proxy = _choose(blow, "lose")
        verb = blow.choose(GATEWAY_VERBS if "gateway" in process.roles else WORKER_VERBS)
        with claim(proxy, "lose"):
            await _lose(
                blow, process.name, proxy, f"of {verb}",
                lambda: proxy.lose_next_reply(script(verb).digest.encode()),
            )  # fmt: skip


class Blackhole(NetworkFault):
    """Nothing passes in either direction; then either everything does, late, or all connections break."""

    name = "blackhole"
    weight = 2.5
    bounds_s = (0.3 * LEASE_S, 4 * LEASE_S)

    async def strike(self, blow: Blow) -> None:
        process, proxy = _choose(blow, self.name)
        breaks = blow.chance.random() < 0.5
        with claim(proxy, self.name):
            blow.begins(process.name, detail="then all breaks" if breaks else "then all passes")
            try:
                proxy.hang()
                await asyncio.sleep(blow.lasts_s)
            finally:
                if breaks:
                    proxy.break_connections()
                proxy.resume()
