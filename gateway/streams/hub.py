"""Who watches what, in this process. Pure: the pump tells it what happened, watchers hear it at once."""

from collections.abc import Mapping
from typing import Protocol

import structlog

from gateway.streams.events import Event, Pulse
from gateway.streams.ring import Ring

_log = structlog.get_logger(__name__)


class Watcher(Protocol):
    """One that hears of a topic. Its methods return at once and do no I/O that can block."""

    @property
    def partition(self) -> str: ...

    def event(self, event: Event, /) -> None: ...

    def pulse(self, pulse: Pulse, /) -> None: ...

    def lose(self) -> None:
        """The tail of the partition has a hole: read again."""

    def abort(self) -> None:
        """A method of this watcher raised: it must end, so that the others go on."""


def job_topic(job: str) -> str:
    """The topic of everything about one job: its id, which holds no colon."""
    return job


def tenant_topic(tenant: str) -> str:
    """The topic of everything about all jobs of one tenant."""
    return f"tenant:{tenant}"


class Hub:
    """The watchers of each topic and the ring of each partition.

    A watcher registers first and reads afterwards, so that nothing falls between the two.
    """

    def __init__(self, rings: Mapping[str, Ring]) -> None:
        self._rings = rings
        self._topics: dict[str, tuple[Watcher, ...]] = {}
        """Replaced when somebody comes or goes, and never changed: that is rare beside what they hear."""
        self.delivered = 0
        """Events and progress handed to watchers since the start."""

    def ring(self, partition: str) -> Ring:
        """The recent events of a partition."""
        return self._rings[partition]

    def watch(self, topic: str, watcher: Watcher) -> None:
        """From now on `watcher` hears of `topic`."""
        self._topics[topic] = (*self._topics.get(topic, ()), watcher)

    def forget(self, topic: str, watcher: Watcher) -> None:
        """Ends `watch`; harmless when it has ended."""
        watchers = self._topics.get(topic, ())
        try:
            at = watchers.index(watcher)
        except ValueError:
            return
        if others := watchers[:at] + watchers[at + 1 :]:
            self._topics[topic] = others
        else:
            del self._topics[topic]

    def watchers(self) -> int:
        """How many watch now."""
        return sum(map(len, self._topics.values()))

    def event(self, event: Event) -> None:
        """The next durable event of its partition."""
        self._rings[event.partition].append(event)
        for watcher in self._of(event.job, event.tenant):
            try:
                watcher.event(event)
            except Exception:  # noqa: BLE001 - one broken watcher must not keep the others from hearing
                _log.exception("watcher.failed", job=event.job)
                watcher.abort()
            self.delivered += 1

    def pulse(self, pulse: Pulse) -> None:
        """Progress of a job; what an event has overtaken is shown to nobody."""
        if not self._rings[pulse.partition].note(pulse):
            return
        for watcher in self._of(pulse.job, pulse.tenant):
            try:
                watcher.pulse(pulse)
            except Exception:  # noqa: BLE001 - one broken watcher must not keep the others from hearing
                _log.exception("watcher.failed", job=pulse.job)
                watcher.abort()
            self.delivered += 1

    def lose(self, partition: str) -> None:
        """What comes next from this partition does not continue what came before."""
        self._rings[partition].clear()
        for watcher in [one for watchers in self._topics.values() for one in watchers if one.partition == partition]:
            watcher.lose()

    def _of(self, job: str, tenant: str) -> tuple[Watcher, ...]:
        return self._topics.get(job, ()) + self._topics.get(tenant_topic(tenant), ())
