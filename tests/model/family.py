"""How the model's jobs end, and what that does to their parents and children."""

from actors.kernel.states import TERMINAL, State
from tests.model.job import Job
from tests.model.places import Places


class Family:
    """All ends and beginnings of jobs of one partition."""

    def __init__(self, jobs: dict[str, Job], window: int, limit: int) -> None:
        self.jobs = jobs
        self.places = Places(jobs, window, limit, self.end_unwanted)

    def parent_of(self, job: Job) -> Job | None:
        """The parent, if it lives."""
        parent = self.jobs.get(job.parent)
        return parent if parent is not None and parent.state not in TERMINAL else None

    def unwanted(self, job: Job) -> bool:
        return job.cancel or job.doomed or (job.parent != "" and self.parent_of(job) is None)

    def end_unwanted(self, job: Job, verb: str) -> bool:
        """Ends a job that nobody wants any more; whether it was one."""
        if not self.unwanted(job):
            return False
        failed = job.doomed and not job.cancel
        event = "job.failed" if failed else "job.cancelled"
        self.finish(job, verb, State.FAILED if failed else State.CANCELLED, event, ended="cancel")
        return True

    def end_expired(self, job: Job, verb: str) -> None:
        self.finish(job, verb, State.EXPIRED, "job.expired", ended="expire")

    def finish(self, job: Job, verb: str, state: State, event: str, *, ended: str = "") -> None:
        job.waited = job.state == State.WAITING
        self.places.leave(job)
        self.places.give_up_slot(job)
        job.end(ended or verb)
        job.move(verb, state, event)
        for number in job.open_rows:
            child = self.jobs.get(f"{job.id}.{number}")
            if child is not None and child.state not in TERMINAL:
                self.end_unwanted(child, "parent")
        self.child_ended(job.id, job.parent, state)

    def child_ended(self, child: str, parent_id: str, state: State) -> None:
        """Closes the child's row, if it is open and the parent lives."""
        parent, number = self.jobs.get(parent_id), child.rpartition(".")[2]
        if parent is None or parent.state in TERMINAL or not number.isdigit() or parent.rows.get(int(number)) != "open":
            return
        parent.rows[int(number)] = state
        self.follow_percent(parent)
        if parent.on_child_failure == "fail" and state in (State.FAILED, State.EXPIRED) and not parent.doomed:
            parent.doomed = True
            if parent.state == State.WAITING:
                self.end_unwanted(parent, "children")
                return
        if parent.state == State.WAITING and not parent.open_rows:
            self.wake(parent)

    def wake(self, parent: Job) -> None:
        self.places.enqueue(parent, "children", "job.queued")

    def follow_percent(self, parent: Job | None) -> None:
        """The percent of a waiting parent goes from `base` to `reach` as its children come on, and never back."""
        if parent is None or parent.state != State.WAITING:
            return
        total = 0.0
        for number, row in parent.rows.items():
            child = self.jobs.get(f"{parent.id}.{number}")
            total += (child.percent if child else 0.0) if row == "open" else 100.0
        share = total / (100 * parent.children)
        reached = min(parent.base + (parent.reach - parent.base) * share, parent.reach)
        if reached > parent.percent + 1e-6:
            parent.percent = reached
            self.follow_percent(self.jobs.get(parent.parent))

    def blur(self, name: str) -> None:
        """The percent of a job and of all above it is no longer known exactly."""
        while job := self.jobs.get(name):
            job.inexact, name = True, job.parent

    def begin_again(self, job: Job, *, overdue: bool = False, pinned: str = "", from_first: bool = False) -> None:
        if from_first:
            job.stage, job.lane, job.rescue = job.first
        job.attempt = job.crashes = 0
        job.cancel = job.doomed = job.waited = False
        job.overdue = job.expires = overdue
        job.pinned = pinned
        job.revives = job.revives or job.children > 0
        job.end("replay")
        job.events.append("job.replayed")

    def child_again(self, child: Job, parent: Job, pinned: str = "") -> None:
        parent.rows[child.number] = "open"
        if child.waited:
            self.wait_again(child, overdue=parent.overdue)
        else:
            self.begin_again(child, overdue=parent.overdue, pinned=pinned)
            self.places.enqueue(child, "replay", "")
        self.follow_percent(parent)

    def wait_again(self, parent: Job, *, overdue: bool = False) -> None:
        """A parent that ended while it waited: its children without success begin again with it."""
        self.begin_again(parent, overdue=overdue)
        parent.move("replay", State.WAITING)
        again = [number for number, row in sorted(parent.rows.items()) if row != State.COMPLETED]
        for number in again:
            parent.rows[number] = "open"
        for number in again:
            child = self.jobs.get(f"{parent.id}.{number}")
            if child is None:
                self.child_ended(f"{parent.id}.{number}", parent.id, State.FAILED)
            elif child.state in TERMINAL:
                self.child_again(child, parent)

    def put_aside(self, job: Job) -> None:
        """The job's hash could not be read; it is gone, its places are counted until `reconcile` looks at them."""
        del self.jobs[job.id]
        if job.state == State.HELD:
            job.turn = None
        self.places.ghosts.append(job)
        self.blur(job.parent)
        self.child_ended(job.id, job.parent, State.FAILED)
