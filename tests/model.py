"""A model of the kernel's transitions: what the scripts must do, written without Redis, keys or time.

Time enters from outside: a lease, a deadline or a delay runs out when a test says so. Every method answers what the
verb answers and changes what the verb changes.
"""

from dataclasses import dataclass, field

from actors.kernel.states import MOVES, TERMINAL, State

CRASH_BUDGET = 3


@dataclass
class Job:
    """One job as the model knows it."""

    id: str
    stage: str
    state: State = State.QUEUED
    again: bool = False
    """Whether its hint lies in `again`."""
    fence: str = ""
    ended: str = ""
    """Verb and fence of the last end."""
    takes: int = 0
    attempt: int = 0
    crashes: int = 0
    percent: float = 0.0
    cancel: bool = False
    events: list[str] = field(default_factory=lambda: ["job.queued"])
    verb: str = ""
    """The verb at work, for the table of legal moves."""

    def move(self, state: State) -> None:
        legal = MOVES[self.verb].get(self.state, frozenset())
        assert state in legal, f"{self.verb}: {self.state} -> {state} is not in the table of moves"
        self.state = state

    def end(self, verb: str) -> None:
        self.ended = f"{verb} {self.fence}"

    def finish_cancelled(self) -> None:
        self.end("cancel")
        self.move(State.CANCELLED)
        self.events.append("job.cancelled")

    def finish_expired(self) -> None:
        self.end("expire")
        self.move(State.EXPIRED)
        self.events.append("job.expired")


class Model:
    """All jobs of one partition."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.granted: dict[str, list[tuple[str, str]]] = {}
        """Nonce of a take to the jobs and fences it granted."""

    def submit(self, job: str, stage: str) -> str:
        if job in self.jobs:
            return "exists"
        self.jobs[job] = Job(job, stage)
        return "ok"

    def queued(self, stage: str, *, again: bool) -> set[str]:
        return {job.id for job in self.jobs.values() if (job.state, job.stage, job.again) == ("queued", stage, again)}

    def check_take(self, stage: str, want: int, nonce: str, granted: list[tuple[str, str]]) -> None:
        """`take` may choose among equals, so its answer is checked and then followed."""
        if nonce in self.granted:
            standing = [(job, fence) for job, fence in self.granted[nonce] if self._holds(job, fence)]
            assert granted == standing
            return
        returned, fresh = self.queued(stage, again=True), self.queued(stage, again=False)
        chosen = [job for job, _ in granted]
        assert len(set(chosen)) == len(chosen)
        assert set(chosen) <= returned | fresh
        assert len(chosen) == min(want, len(returned | fresh)), "take grants exactly what is wanted and there"
        if set(chosen) & fresh:
            assert returned <= set(chosen), "returned work comes first"
        for name, fence in granted:
            job = self.jobs[name]
            job.verb = "take"
            job.takes += 1
            assert fence == f"{job.takes}.{nonce}"
            job.fence = fence
            job.move(State.RUNNING)
            job.events.append("job.started")
        if granted:
            self.granted[nonce] = granted

    def _holds(self, job: str, fence: str) -> bool:
        return self.jobs[job].state == State.RUNNING and self.jobs[job].fence == fence

    def _standing(self, verb: str, name: str, fence: str) -> tuple[str, Job | None]:
        job = self.jobs.get(name)
        if job is None:
            return "GONE", None
        job.verb = verb
        if job.ended == f"{verb} {fence}":
            return "ALREADY", job
        if job.fence != fence:
            return "FENCED", job
        if job.state == State.RUNNING:
            return ("CANCELLED", job) if job.cancel else ("OK", job)
        if job.ended == f"reap {fence}" and job.state in (State.QUEUED, State.DELAYED, State.HELD):
            return "LATE", job
        return ("CANCELLED" if job.state == State.CANCELLED else "FENCED"), job

    def beat(self, name: str, fence: str, percent: float | None) -> str:
        job = self.jobs.get(name)
        if job is None:
            return "FENCED"
        job.verb = "beat"
        if job.ended == f"reap {fence}" and job.state not in TERMINAL:
            job.crashes -= 1
            job.ended = f"returned {fence}"
            if job.fence != fence:
                return "FENCED"
            job.move(State.RUNNING)
            job.events.append("job.resumed")
        if job.fence != fence:
            return "FENCED"
        if job.state == State.RUNNING:
            job.percent = max(job.percent, percent or 0.0)
            return "CANCEL" if job.cancel else "OK"
        return {State.CANCELLED: "CANCEL", State.EXPIRED: "DEADLINE"}.get(job.state, "FENCED")

    def commit(self, name: str, fence: str, following: str | None) -> str:
        status, job = self._standing("commit", name, fence)
        if job is not None and status == "CANCELLED" and job.state == State.RUNNING:
            job.finish_cancelled()
        elif job is not None and status in ("OK", "LATE"):
            job.end("commit")
            if following is None:
                job.percent = 100.0
                job.move(State.COMPLETED)
                job.events.append("job.completed")
            else:
                job.stage, job.again, job.attempt, job.crashes = following, False, 0, 0
                job.move(State.QUEUED)
                job.events.append("job.stage")
        return status

    def fail(self, name: str, fence: str, cls: str, budget: int) -> str:
        status, job = self._standing("fail", name, fence)
        if job is not None and status == "CANCELLED" and job.state == State.RUNNING:
            job.finish_cancelled()
        elif job is not None and status in ("OK", "LATE"):
            job.end("fail")
            if status == "LATE":
                job.crashes = max(0, job.crashes - 1)
            if cls != "throttled":
                job.attempt += 1
            if cls == "permanent" or (cls != "throttled" and job.attempt >= budget):
                job.move(State.FAILED)
                job.events.append("job.failed")
            else:
                job.move(State.DELAYED)
                job.events.append("job.retrying")
        return status

    def release(self, name: str, fence: str) -> str:
        status, job = self._standing("release", name, fence)
        if status == "LATE":
            return "ALREADY"
        if job is not None and status == "CANCELLED" and job.state == State.RUNNING:
            job.finish_cancelled()
        elif job is not None and status == "OK":
            job.end("release")
            job.again = True
            job.move(State.QUEUED)
            job.events.append("job.retrying")
        return status

    def cancel(self, name: str) -> str:
        job = self.jobs.get(name)
        if job is None:
            return "gone"
        if job.state in TERMINAL:
            return "terminal"
        job.verb, job.cancel = "cancel", True
        if job.state == State.RUNNING:
            return "flagged"
        job.finish_cancelled()
        return "cancelled"

    def reap(self, name: str) -> str:
        """The lease of a running job has run out."""
        job = self.jobs[name]
        job.verb = "reap"
        if job.cancel:
            job.finish_cancelled()
            return "cancelled"
        job.crashes += 1
        job.end("reap")
        if job.crashes >= CRASH_BUDGET:
            job.move(State.FAILED)
            job.events.append("job.failed")
            return "failed"
        job.again = True
        job.move(State.QUEUED)
        job.events.append("job.retrying")
        return "requeued"

    def promote(self, name: str) -> None:
        """The delay of a delayed job is over."""
        job = self.jobs[name]
        job.verb, job.again = "promote", False
        job.move(State.QUEUED)
        job.events.append("job.queued")

    def expire(self, name: str) -> None:
        """The deadline of a job that has not ended has passed."""
        job = self.jobs[name]
        job.verb = "expire"
        if job.cancel:
            job.finish_cancelled()
        else:
            job.finish_expired()
