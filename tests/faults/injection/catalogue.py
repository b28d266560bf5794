"""Every fault there is, by its name."""

from tests.faults.injection import clock, damage, disk, network, processes, redis
from tests.faults.injection.fault import Fault
from tests.faults.plan import Profile

_ALL: tuple[type[Fault], ...] = (
    processes.Kill,
    processes.KillWorker,
    processes.Freeze,
    processes.Terminate,
    processes.TerminateTwice,
    processes.KillInDrain,
    processes.KillFfmpeg,
    redis.RestartRedis,
    redis.FailPower,
    redis.FreezeRedis,
    redis.PauseClients,
    redis.KillClients,
    redis.FlushScripts,
    redis.FullMemory,
    redis.RewriteAof,
    damage.DeleteStream,
    damage.DeleteGroup,
    damage.DeleteConsumers,
    damage.TrimInbox,
    damage.DeleteLeases,
    damage.DeleteDue,
    damage.DeleteHeld,
    damage.DeleteDeadlines,
    damage.DeleteReady,
    damage.DeleteWidth,
    damage.DeleteTaken,
    damage.DeletePulse,
    damage.TrimFeed,
    damage.DeleteFeed,
    network.LoseReply,
    network.LoseReplyOf,
    network.Blackhole,
    disk.FullDisk,
    clock.StepClock,
)
FAULTS: dict[str, Fault] = {kind.name: kind() for kind in _ALL}


def possible(profile: Profile) -> list[Fault]:
    """Those that can happen to such an installation, in a fixed order."""
    return [fault for _, fault in sorted(FAULTS.items()) if fault.possible(profile)]
