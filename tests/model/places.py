"""Where the model's jobs wait: windows of hints, slots of tenants, turns of held jobs."""

from collections.abc import Callable, Iterable

from actors.kernel.keys import PRIORITIES
from actors.kernel.states import State
from tests.model.job import AHEAD_MS, UNKNOWN, Job

Queue = tuple[str, str]
"""Stage and lane."""


class Places:
    """Counts places by looking at all jobs; nothing is kept that a job does not say itself."""

    def __init__(self, jobs: dict[str, Job], window: int, limit: int, end_unwanted: Callable[[Job, str], bool]) -> None:
        self._jobs = jobs
        self._end_unwanted = end_unwanted
        self.window = window
        self.default_limit = limit
        self.limits: dict[str, int] = {}
        """Limits of tenants that have one of their own; 0: none."""
        self.ghosts: list[Job] = []
        """Jobs that were put aside and are still counted, until `reconcile` looks at their tenant's held jobs."""
        self.forgotten: set[str] = set()
        """Jobs in a window whose set has been lost and that are counted in none."""
        self._widths: dict[Queue, int] = {}
        """Slots of the widest worker that has asked for work."""
        self._vacant: set[tuple[Queue, str]] = set()
        self._freed: set[str] = set()

    def limit_of(self, tenant: str) -> int:
        return self.limits.get(tenant, self.default_limit)

    def counted(self) -> Iterable[Job]:
        return (*self._jobs.values(), *self.ghosts)

    def ghost_names(self) -> set[str]:
        return {ghost.id for ghost in self.ghosts}

    def widen(self, queue: Queue, slots: int) -> None:
        self._widths[queue] = max(self._widths.get(queue, 0), slots)

    def window_of(self, queue: Queue) -> int:
        """Hints that a tenant may have: as many as the widest worker could take, and no fewer than the settings say."""
        return max(self.window, self._widths.get(queue, 0))

    def ready(self, queue: Queue, tenant: str) -> set[str]:
        """Jobs whose hints count for the tenant's window."""
        here = (job for job in self.counted() if job.tenant == tenant and job.queue == queue and job.in_window)
        return {job.id for job in here} - self.forgotten

    def under_way(self, tenant: str) -> set[str]:
        return {job.id for job in self.counted() if job.tenant == tenant and job.slot}

    def held(self, queue: Queue, tenant: str) -> list[Job]:
        """The tenant's held jobs of one queue, in the order of their turns."""
        here = (job for job in self._jobs.values() if job.state == State.HELD)
        return sorted(
            (job for job in here if (job.queue, job.tenant) == (queue, tenant)), key=lambda job: job.turn or ()
        )

    def has_room(self, job: Job) -> bool:
        """Whether a job that is not apart may have a hint, or must be held."""
        ready, limit = len(self.ready(job.queue, job.tenant)), self.limit_of(job.tenant)
        if ready >= self.window_of(job.queue):
            return False
        return limit == 0 or job.slot or len(self.under_way(job.tenant)) + ready < limit

    def enqueue(self, job: Job, verb: str, event: str) -> None:
        """Lets the job wait for a worker; `event` if it is queued and not held."""
        if job.apart or self.has_room(job):
            job.move(verb, State.QUEUED, event)
            job.inbox = job.apart or job.priority
        else:
            self.hold(job, verb)

    def hold(self, job: Job, verb: str) -> None:
        begun = job.takes > 0 and job.slot
        job.turn = (0 if begun else 1, job.created_ms + AHEAD_MS[job.priority], job.id)
        job.move(verb, State.HELD, "job.held")
        job.inbox = ""

    def leave(self, job: Job) -> None:
        """The job leaves where it waits; its place in a window comes free."""
        if job.in_window:
            self._vacant.add((job.queue, job.tenant))
        self.forgotten.discard(job.id)
        job.turn = None

    def give_up_slot(self, job: Job) -> None:
        if job.takes:
            job.slot = False
            self._freed.add(job.tenant)

    def settle(self) -> None:
        """Gives turns wherever a place came free."""
        while self._vacant or self._freed:
            queues, freed = self._vacant, self._freed
            self._vacant, self._freed = set(), set()
            for job in list(self._jobs.values()):
                if job.state == State.HELD and job.tenant in freed and self.limit_of(job.tenant) > 0:
                    queues.add((job.queue, job.tenant))
            for queue, tenant in sorted(queues):
                self.refill(queue, tenant)

    def forget_vacancies(self) -> None:
        """After a call whose turns were followed and not foreseen."""
        self._vacant, self._freed = set(), set()

    def refill(self, queue: Queue, tenant: str) -> list[str]:
        """Gives the turns of one queue that window and limit allow; the ids that were queued."""
        turned: list[str] = []
        fresh = 0
        for job in self.held(queue, tenant):
            if len(self.ready(queue, tenant)) >= self.window_of(queue):
                break
            if not self.may_go(job, fresh):
                break
            if self._end_unwanted(job, "turn"):
                continue
            fresh += not job.slot and bool(job.apart)
            self.take_turn(job)
            turned.append(job.id)
        return turned

    def may_go(self, job: Job, unseen: int = 0) -> bool:
        """Whether the limit allows a held job its turn; `unseen` need a slot and are counted nowhere yet."""
        limit = self.limit_of(job.tenant)
        used = len(self.under_way(job.tenant)) + len(self.ready(job.queue, job.tenant)) + unseen
        return limit == 0 or job.slot or used < limit

    def take_turn(self, job: Job) -> None:
        job.move("turn", State.QUEUED, "job.queued")
        job.turn = None
        job.inbox = job.apart or UNKNOWN

    def settle_inbox(self, job: Job, inbox: str) -> None:
        """A job that had its turn lies in the inbox of its priority, or behind what waits with less of it."""
        assert inbox in PRIORITIES, inbox
        assert AHEAD_MS[inbox] >= AHEAD_MS[job.priority], f"{job.id} of priority {job.priority} went before others"
        job.inbox = inbox
