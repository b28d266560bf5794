"""The model with its hints and rows: the verbs are the model's, what they leave in streams and ledgers is followed."""

from collections.abc import Iterable

from actors.kernel.states import TERMINAL, State
from tests.model import Job, Model
from tests.model.exploring.kept import ERROR_BUDGET, INBOXES, STAGES, Act, Answer, Entry, Grant, Kept, Row
from tests.model.items import Item


class Hint:
    """One entry of an inbox, of this very partition: it is known by its identity as an entry is by its id."""

    __slots__ = ("delivered", "job")

    def __init__(self, job: str, delivered: bool = False) -> None:
        self.job = job
        self.delivered = delivered


class Partition(Model):
    """One tenant without a limit, workers with one slot each, stages `a` and `b`."""

    def __init__(self, crash_budget: int) -> None:
        super().__init__(crash_budget=crash_budget)
        self.streams: dict[str, list[Hint]] = {inbox: [] for inbox in INBOXES}
        self.hints: dict[str, Hint] = {}
        """The entry that each job's hash names, whether it is still there or not."""
        self.rows: dict[str, str] = {}
        """Job to its row: `fresh`, `out` or `due`."""
        self.damaged = False

    def do(self, act: Act) -> Answer:
        """One call. What it changed is then to be found in streams and rows."""
        before = {job.id: len(job.events) for job in self.jobs.values()}
        answer = self._called(act)
        for job in self.jobs.values():
            if len(job.events) != before[job.id]:
                self._moved(job)
        return answer

    def _called(self, act: Act) -> Answer:
        fence = (act.job, act.fence)
        match act.verb:
            case "take":
                return self._taken(act.nonce, want=1)
            case "take nothing":
                return self._taken(act.nonce, want=0)
            case "beat":
                return self._beaten(act)
            case "commit" if act.stage == STAGES[-1]:
                return tuple(self.commit([Item(*fence, "done")]))
            case "commit":
                return tuple(self.commit([Item(*fence, "next", STAGES[STAGES.index(act.stage) + 1])]))
            case "fail":
                return tuple(self.fail([fence], "transient", ERROR_BUDGET))
            case "release":
                return tuple(self.release([fence]))
            case "cancel":
                return (self.cancel(act.job),)
            case "reap":
                return _told(self.reap(self.with_row("out")).items())
            case "promote":
                return tuple(self.promote(self.with_row("due")))
            case "expire":
                return tuple(self.expire())
            case "reconcile":
                return _told(self._mended())
        self._happened(act)
        return ()

    def _moved(self, job: Job) -> None:
        """Every event of a job that waits or runs goes with a new hint, row or lease in place of the old one."""
        if job.events[-1] != "job.started":
            # A job that was taken keeps its entry, delivered, until it leaves.
            self._drop(job.id)
        self.rows.pop(job.id, None)
        match job.state:
            case State.QUEUED:
                self.queue(job)
            case State.RUNNING:
                self.rows[job.id] = "fresh"
            case State.DELAYED:
                self.rows[job.id] = "due"

    def queue(self, job: Job) -> None:
        hint = Hint(job.id)
        self.streams[f"{job.stage}:{job.inbox}"].append(hint)
        self.hints[job.id] = hint

    def _drop(self, name: str) -> None:
        hint = self.hints.pop(name, None)
        for entries in self.streams.values():
            entries[:] = [entry for entry in entries if entry is not hint]

    def with_row(self, row: str) -> list[str]:
        return [name for name in self.jobs if self.rows.get(name) == row]

    def _beaten(self, act: Act) -> Answer:
        answer = tuple(self.beat([(act.job, act.fence, None)]))
        job = self.jobs[act.job]
        if (job.state, job.fence) == (State.RUNNING, act.fence):
            self.rows[job.id] = "fresh"
        return answer

    def _taken(self, nonce: str, want: int) -> Answer:
        if nonce in self.granted:
            return self._taken_again(nonce)
        for inbox in INBOXES if want else ():
            for entry in [entry for entry in self.streams[inbox] if not entry.delivered]:
                entry.delivered = True
                job = self.jobs[entry.job]
                if not self.fits(entry, job, inbox):
                    self.streams[inbox].remove(entry)
                elif self.family.end_unwanted(job, "take"):
                    pass
                elif job.overdue:
                    self.family.end_expired(job, "take")
                else:
                    self.start(job, nonce)
                    self.granted[nonce] = [(job.id, job.fence)]
                    return job.id, job.fence, job.stage
        return ()

    def fits(self, entry: Hint, job: Job, inbox: str) -> bool:
        """Whether the entry is the hint of a queued job: any other one is dropped."""
        return job.state == State.QUEUED and self.hints.get(job.id) is entry

    def start(self, job: Job, nonce: str) -> None:
        job.takes += 1
        job.fence, job.slot = f"{job.takes}.{nonce}", True
        job.move("take", State.RUNNING, "job.started")

    def _taken_again(self, nonce: str) -> Answer:
        for name, fence in self.granted[nonce]:
            job = self.jobs[name]
            self.resume(job, fence)
            if (job.state, job.fence) == (State.RUNNING, fence):
                self.rows[name] = "fresh"
                return name, fence, job.stage
        return ()

    def _mended(self) -> Iterable[tuple[str, str]]:
        """What `reconcile` repairs in one round."""
        self.damaged = False
        for job in self.living():
            if job.state == State.RUNNING and job.id not in self.rows:
                self.rows[job.id] = "fresh"
                yield job.id, "lease"
            elif job.state == State.DELAYED and job.id not in self.rows:
                self.rows[job.id] = "due"
                yield job.id, "due"
            elif job.state == State.QUEUED and not self.has_hint(job):
                self._drop(job.id)
                self.queue(job)
                yield job.id, "hint"

    def has_hint(self, job: Job) -> bool:
        """Whether some take will come upon the job."""
        hint = self.hints.get(job.id)
        return hint is not None and not hint.delivered and hint in self.streams[f"{job.stage}:{job.inbox}"]

    def _happened(self, act: Act) -> None:
        """Time passes, or something is lost."""
        self.damaged = self.damaged or act.verb not in ("time passes", "deadline passes")
        match act.verb:
            case "deadline passes":
                self.jobs[act.job].overdue = self.jobs[act.job].expires = True
            case "time passes":
                self.rows[act.job] = "out"
            case "row lost":
                del self.rows[act.job]
            case "hint lost":
                self.streams[act.stage].remove(self.hints[act.job])
            case "hint doubled":
                self.streams[act.stage].append(Hint(act.job))
            case "group lost" | "group at its end":
                for entry in self.streams[act.stage]:
                    entry.delivered = act.verb == "group at its end"
            case _:
                raise ValueError(act.verb)

    def freeze(self) -> Kept:
        return Kept(
            tuple(map(self._frozen, self.jobs.values())),
            tuple(
                (inbox, tuple(Entry(hint.job, hint.delivered, self.hints.get(hint.job) is hint) for hint in hints))
                for inbox, hints in self.streams.items()
                if hints
            ),
            tuple(Grant(nonce, *granted) for nonce, [granted] in self.granted.items()),
            self.damaged,
        )

    def _frozen(self, job: Job) -> Row:
        verb, _, fence = job.ended.partition(" ")
        over = job.state in TERMINAL
        return Row(
            job.id,
            job.stage,
            job.state,
            job.inbox if job.state == State.QUEUED else "",
            job.fence,
            verb,
            fence,
            job.takes,
            0 if over else job.attempt,
            0 if over else job.crashes,
            job.cancel,
            job.overdue and not over,
            self.rows.get(job.id, ""),
        )

    def thaw(self, kept: Kept) -> None:
        """Becomes what was frozen; only for a new partition."""
        for row in kept.jobs:
            job = Job(row.id, "t", row.stage, state=row.state, inbox=row.inbox, fence=row.fence, takes=row.takes)
            job.ended = f"{row.ended} {row.ended_fence}" if row.ended else ""
            job.attempt, job.crashes, job.cancel = row.attempt, row.crashes, row.cancel
            job.overdue = job.expires = row.overdue
            self.jobs[row.id] = job
            if row.row:
                self.rows[row.id] = row.row
        for inbox, entries in kept.streams:
            for entry in entries:
                hint = Hint(entry.job, entry.delivered)
                self.streams[inbox].append(hint)
                if entry.hint:
                    self.hints[entry.job] = hint
        self.granted = {grant.nonce: [(grant.job, grant.fence)] for grant in kept.taken}
        self.damaged = kept.damaged


def _told(outcomes: Iterable[tuple[str, str]]) -> Answer:
    return tuple(f"{name} {outcome}" for name, outcome in outcomes)
