"""The model's verbs. Lists are lists here too: what an item changed is seen by the next, turns come at the end."""

from collections.abc import Iterable, Sequence

from actors.kernel.states import TERMINAL, State
from tests.model.family import Family
from tests.model.items import Item
from tests.model.job import Job

CRASH_BUDGET = 4
DEEPEST = 3
_WAITS = (State.QUEUED, State.HELD, State.DELAYED)


class Model:
    """All jobs of one partition."""

    def __init__(self, window: int = 2, limit: int = 0, crash_budget: int = CRASH_BUDGET) -> None:
        self.crash_budget = crash_budget
        self.jobs: dict[str, Job] = {}
        self.family = Family(self.jobs, window, limit)
        self.places = self.family.places
        self.broken: set[str] = set()
        """Jobs whose hash can no longer be read and that no verb has met yet."""
        self.granted: dict[str, list[tuple[str, str]]] = {}
        """Nonce of a take to the jobs and fences it granted."""
        self.paused: set[str] = set()

    def of_state(self, *states: State) -> list[str]:
        return [job.id for job in self.jobs.values() if job.state in states]

    def living(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.state not in TERMINAL]

    def meet(self, name: str) -> Job | None:
        """The job as a verb finds it: one whose hash is broken is put aside there and then."""
        if name in self.broken:
            self.broken.discard(name)
            self.family.put_aside(self.jobs[name])
        return self.jobs.get(name)

    def submit(self, job: Job, *, scheduled: bool) -> str:
        if job.id in self.jobs:
            return "exists"
        self._create(job, scheduled=scheduled)
        return "ok"

    def _create(self, job: Job, *, scheduled: bool = False) -> None:
        self.jobs[job.id] = job
        if scheduled:
            job.state = State.DELAYED
            job.events.append("job.queued")
        elif self.places.has_room(job):
            job.inbox = job.priority
            job.events.append("job.queued")
        else:
            # A job that is not there yet has no state to come from: it is held at once.
            job.state = State.QUEUED
            self.places.hold(job, "take")

    def _standing(self, verb: str, name: str, fence: str) -> tuple[str, Job | None]:
        job = self.meet(name)
        if job is None:
            return "GONE", None
        if job.ended == f"{verb} {fence}":
            return "ALREADY", job
        if job.fence != fence:
            return "FENCED", job
        if job.state == State.RUNNING:
            return ("CANCELLED" if self.family.unwanted(job) else "OK"), job
        if job.ended == f"reap {fence}" and job.state in _WAITS:
            return ("CANCELLED" if self.family.unwanted(job) else "LATE"), job
        return ("CANCELLED" if job.state == State.CANCELLED else "FENCED"), job

    def _end_of(self, verb: str, name: str, fence: str) -> tuple[str, Job | None]:
        """The standing; the job only if the verb is to go on with it."""
        status, job = self._standing(verb, name, fence)
        if job is not None and status == "CANCELLED" and job.state not in TERMINAL:
            self.family.end_unwanted(job, verb)
        return status, job if status in ("OK", "LATE") else None

    def resume(self, job: Job, fence: str) -> None:
        """A word under a reaped fence gives the crash back, and the lease while nobody has taken the job again."""
        if job.ended != f"reap {fence}" or job.state in TERMINAL:
            return
        job.crashes = max(0, job.crashes - 1)
        job.ended = f"returned {fence}"
        if job.fence == fence:
            self.places.leave(job)
            job.move("beat", State.RUNNING, "job.resumed")

    def beat(self, items: Iterable[tuple[str, str, float | None]]) -> list[str]:
        statuses = [self._beat(*item) for item in items]
        self.places.settle()
        return statuses

    def _beat(self, name: str, fence: str, percent: float | None) -> str:
        job = self.meet(name)
        if job is None:
            return "FENCED"
        self.resume(job, fence)
        if job.fence != fence:
            return "FENCED"
        if job.state == State.RUNNING:
            if job.parent and self.family.parent_of(job) is None:
                self.family.end_unwanted(job, "beat")
                return "CANCEL"
            self._come_on(job, percent)
            return "CANCEL" if self.family.unwanted(job) else "OK"
        return {State.CANCELLED: "CANCEL", State.EXPIRED: "DEADLINE"}.get(job.state, "FENCED")

    def _come_on(self, job: Job, percent: float | None) -> None:
        if percent is not None and percent > job.percent:
            job.percent = percent
            self.family.follow_percent(self.jobs.get(job.parent))

    def commit(self, items: Sequence[Item], answers: Sequence[str] = ()) -> list[str]:
        """`answers`: what the scripts said; they are followed where both `OK` and `KEPT` may be."""
        awaited = {job.queue for job in self._awaited()}
        kept = [answer == "KEPT" for answer in answers] or [False] * len(items)
        statuses = [self._commit(item, keeps, awaited) for item, keeps in zip(items, kept, strict=True)]
        self.places.settle()
        return statuses

    def _awaited(self) -> list[Job]:
        """Jobs whose hints wait for the next worker."""
        return [job for job in self.jobs.values() if job.state == State.QUEUED and not job.pinned]

    def _has_kept(self, item: Item) -> bool:
        """Whether the worker has the job by an earlier sending of this item."""
        job = self.meet(item.job)
        if job is None or not item.keep or job.fence == item.fence:
            return False
        fence = _following(item.fence)
        self.resume(job, fence)
        return job.state == State.RUNNING and job.fence == fence

    def _keep(self, job: Job) -> None:
        """The worker goes on with the next stage: only where nobody waits for it."""
        assert job.queue not in {other.queue for other in self._awaited()}, f"{job.id} went before others"
        assert job.stage not in self.paused
        assert not job.overdue
        job.takes += 1
        job.fence = _following(job.fence)
        job.move("commit", State.RUNNING, "job.started")

    def _commit(self, item: Item, kept: bool, awaited: set[tuple[str, str]]) -> str:
        if self._has_kept(item):
            return "KEPT"
        status, job = self._end_of("commit", item.job, item.fence)
        if job is None:
            return status
        if item.kind == "done":
            job.percent = 100.0
            self.family.finish(job, "commit", State.COMPLETED, "job.completed")
            return status
        self.places.leave(job)
        job.end("commit")
        job.stage, job.lane, job.rescue = item.stage, item.lane, item.rescue
        job.attempt = job.crashes = 0
        job.pinned = ""
        if item.kind == "split" and job.open_rows:
            self.places.give_up_slot(job)
            job.move("commit", State.WAITING, "job.waiting")
            job.revives = False
            job.base, job.reach = max(job.percent, item.percent or 0.0), item.reach
        else:
            job.events.append("job.stage")
            if kept and item.keep and status == "OK":
                self._keep(job)
                status = "KEPT"
            else:
                others = {other.queue for other in self._awaited()} | awaited
                free = job.queue not in others and job.stage not in self.paused and not job.overdue
                assert not (item.keep and status == "OK" and free), f"{job.id} was not kept, and nobody waits"
                self.places.enqueue(job, "commit", "")
        self._come_on(job, item.percent)
        self.family.follow_percent(job)
        return status

    def fail(self, items: Iterable[tuple[str, str]], cls: str, budget: int) -> list[str]:
        statuses = [self._fail(name, fence, cls, budget) for name, fence in items]
        self.places.settle()
        return statuses

    def _fail(self, name: str, fence: str, cls: str, budget: int) -> str:
        status, job = self._end_of("fail", name, fence)
        if job is None:
            return status
        if status == "LATE":
            # After a reap the error replaces the crash.
            job.crashes = max(0, job.crashes - 1)
        if cls != "throttled":
            job.attempt += 1
        if cls == "permanent" or (cls != "throttled" and job.attempt >= budget):
            self.family.finish(job, "fail", State.FAILED, "job.failed")
        else:
            self.places.leave(job)
            self.places.give_up_slot(job)
            job.end("fail")
            job.move("fail", State.DELAYED, "job.retrying")
        return status

    def release(self, items: Iterable[tuple[str, str]]) -> list[str]:
        statuses = [self._release(name, fence) for name, fence in items]
        self.places.settle()
        return statuses

    def _release(self, name: str, fence: str) -> str:
        status, job = self._standing("release", name, fence)
        if status == "LATE":
            return "ALREADY"
        if job is not None and status == "CANCELLED" and job.state not in TERMINAL:
            self.family.end_unwanted(job, "release")
        elif job is not None and status == "OK":
            self._come_back(job, "release")
        return status

    def _come_back(self, job: Job, verb: str) -> None:
        job.end(verb)
        job.move(verb, State.QUEUED, "job.retrying")
        job.inbox = job.apart or "again"

    def spawn(self, name: str, fence: str, on_child_failure: str, children: Sequence[Job]) -> list[str]:
        """`children` are as they would be made; those that exist are left alone."""
        status, parent = self._standing("spawn", name, fence)
        if status != "OK" or parent is None:
            return ["FENCED" if status == "LATE" else status]
        if name.count(".") >= DEEPEST:
            return ["DEEP"]
        parent.on_child_failure = on_child_failure
        outcomes = []
        for child in children:
            known = self.jobs.get(child.id)
            row = parent.rows.get(child.number)
            if row is None and known is None:
                parent.rows[child.number] = "open"
                parent.children = max(parent.children, child.number)
                self._create(child)
                outcomes.append("OK")
                continue
            if row is None and known is not None:
                parent.rows[child.number] = known.state if known.state in TERMINAL else "open"
            elif (
                known is not None and known.state in TERMINAL - {State.COMPLETED} and (row == "open" or parent.revives)
            ):
                self.family.child_again(known, parent)
            outcomes.append("EXISTS")
        return ["OK", *outcomes]

    def cancel(self, name: str) -> str:
        job = self.meet(name)
        if job is None:
            return "gone"
        if job.state in TERMINAL:
            return "terminal"
        job.cancel = True
        if job.state == State.RUNNING:
            return "flagged"
        self.family.end_unwanted(job, "cancel")
        self.places.settle()
        return "cancelled"

    def replay(self, name: str, *, from_first: bool, pinned: str) -> tuple[str, str]:
        job = self.meet(name)
        if job is None:
            return "gone", ""
        if job.state not in TERMINAL:
            return ("ok" if job.ended.startswith("replay ") else "illegal"), job.state
        if job.state == State.COMPLETED:
            return "illegal", job.state
        if job.parent:
            parent = self.jobs.get(job.parent)
            if parent is None or parent.state != State.WAITING:
                return "parent", parent.state if parent else "gone"
            self.family.child_again(job, parent, pinned)
        elif job.waited and not from_first:
            self.family.wait_again(job)
        else:
            self.family.begin_again(job, pinned=pinned, from_first=from_first)
            self.places.enqueue(job, "replay", "")
        return "ok", job.state

    def reap(self, names: Iterable[str]) -> dict[str, str]:
        """The leases of running jobs have run out."""
        outcomes: dict[str, str] = {}
        for name in names:
            job = self.meet(name)
            if job is not None and job.state == State.RUNNING:
                outcomes[name] = self._reap(job)
        self.places.settle()
        return outcomes

    def _reap(self, job: Job) -> str:
        if self.family.end_unwanted(job, "reap"):
            return job.state
        if job.overdue:
            self.family.end_expired(job, "reap")
            return "expired"
        job.crashes += 1
        if job.crashes >= self.crash_budget:
            self.family.finish(job, "reap", State.FAILED, "job.failed")
            return "failed"
        self._come_back(job, "reap")
        return "requeued"

    def promote(self, names: Iterable[str]) -> list[str]:
        """The delays of jobs are over."""
        moved = []
        for name in names:
            job = self.meet(name)
            if job is None or job.state != State.DELAYED:
                continue
            if not self.family.end_unwanted(job, "promote"):
                if job.overdue:
                    self.family.end_expired(job, "promote")
                else:
                    self.places.enqueue(job, "promote", "job.queued")
            moved.append(name)
        self.places.settle()
        return moved

    def expire(self) -> list[str]:
        """Ends what the ledger knows to be overdue."""
        expired = []
        for name in sorted(job.id for job in self.living() if job.expires):
            job = self.meet(name)
            if job is not None and job.state not in TERMINAL and not self.family.end_unwanted(job, "expire"):
                self.family.end_expired(job, "expire")
                expired.append(name)
        self.places.settle()
        return expired

    def set_limit(self, tenant: str, limit: int) -> None:
        self.places.limits[tenant] = limit
        for queue in sorted({job.queue for job in self.jobs.values() if job.tenant == tenant}):
            self.places.refill(queue, tenant)

    def forget(self, names: Iterable[str]) -> None:
        """Purged, and swept by `retention`."""
        for name in names:
            job = self.jobs.pop(name)
            parent = self.jobs.get(job.parent)
            if parent is not None and parent.rows.get(job.number) == "open":
                self.family.blur(parent.id)


def _following(fence: str) -> str:
    """The fence of a worker that goes on with the next stage."""
    takes, _, nonce = fence.partition(".")
    return f"{int(takes) + 1}.{nonce}"
