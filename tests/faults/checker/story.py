"""A small run that never happened: consistent in everything that checks read, and easy to corrupt."""

from itertools import pairwise
from typing import Any

import msgspec

from tests.faults.checker.story_keys import OF_THE_INSTALLATION, keys_of
from tests.faults.checker.story_plan import DIGEST, JOBS, LOST, MS_AT_0, OUTPUT, PROFILE, job_id
from tests.faults.history import (
    CancelAnswered,
    Event,
    ExecutionEnded,
    ExecutionStarted,
    FaultBegan,
    FaultEnded,
    Frame,
    ProcessEnded,
    ProcessStarted,
    ReplayAnswered,
    Sample,
    Submitted,
    TailLost,
    WatcherLeft,
)
from tests.faults.leavings import JobFacts, KeyFacts, Leavings
from tests.faults.plan import Plan, Scripted, Step, Works


class Tale:
    """One job as it is told: its log, its hash and what its workers wrote."""

    def __init__(self, story: "Story", job: str, tenant: str, steps: tuple[Step, ...] | None) -> None:
        self.story, self.job = story, job
        spec = {} if steps is None else {"steps": msgspec.to_builtins(steps)}
        self.fields: dict[str, str] = {
            "state": "queued", "tenant": tenant, "spec": msgspec.json.encode(spec).decode(), "stage": "step1",
            "attempt": "0", "crashes": "0", "deadline": str(round(MS_AT_0) + 86_400_000),
        }  # fmt: skip
        self.log: list[dict[str, Any]] = []
        self.kids: dict[str, str] = {}
        self.takes = 0
        story.tales[job] = self

    def event(self, kind: str, **data: Any) -> None:
        """A durable event."""
        at = round(MS_AT_0 + self.story.now() * 1000)
        rev = len(self.log) + 1
        self.log.append({"id": f"{at}-{rev}", "type": kind, "job": self.job, "rev": rev, "at": at, "data": data})
        self.fields |= {"rev": str(rev), "last_event": f"{at}-{rev}"}
        if kind in ("job.completed", "job.failed", "job.cancelled", "job.expired"):
            self.fields |= {"state": kind.removeprefix("job."), "ended_at": str(at)}
            self.fields |= {"error": msgspec.json.encode(data["error"]).decode()} if "error" in data else {}

    def takes_up(self, stage: str, process: str | None = None) -> str:
        """A worker takes it; returns the fence. `process`: a scripted actor, which writes that down."""
        self.takes += 1
        fence = f"{self.takes}.n{self.takes}"
        self.event("job.started", stage=stage, attempt=1)
        self.fields |= {"stage": stage, "fence": fence, "takes": str(self.takes), "state": "running"}
        if process:
            self.story.tell(
                ExecutionStarted,
                job=self.job,
                stage=stage,
                fence=fence,
                tenant=self.fields["tenant"],
                attempt=int(self.fields["attempt"]),
                crashes=int(self.fields["crashes"]),
                pid=self.story.pids[process],
            )
        return fence

    def executes(self, stage: str, how: str = "done", process: str = "scripted-1") -> str:
        """The same, and the handler ends."""
        fence = self.takes_up(stage, process)
        pid = self.story.pids[process]
        self.story.tell(ExecutionEnded, job=self.job, stage=stage, fence=fence, pid=pid, how=how)
        return fence

    def next_stage(self, done: str, following: str) -> None:
        self.event("job.stage", done=done, next=following)
        self.fields |= {"stage": following, "state": "queued", "attempt": "0", "crashes": "0"}

    def completes(self, result: dict[str, Any]) -> None:
        self.event("job.completed", outputs=[])
        self.fields["result"] = msgspec.json.encode(result).decode()


class Story:
    """All of it. Fields are there to be corrupted; `plan` and `leavings` say how it stands."""

    def __init__(self) -> None:
        self.at_s = 100.0
        self.jobs = list(JOBS)
        self.profile = PROFILE
        self.history: list[Event] = []
        self.tales: dict[str, Tale] = {}
        self.pids: dict[str, int] = {}
        self.faults = 0
        self.manifests: dict[str, dict[str, Any]] = {}
        self.digests: dict[str, str] = {}
        self.files: list[str] = []
        self.exits: dict[str, int] = {}
        self.log_errors: list[dict[str, Any]] = []
        self.processes: dict[int, str] = {}
        self.unquiet: list[str] = []
        for name, roles in (
            ("gateway-1", ("gateway", "reaper")),
            ("media-1", ("ingest", "fetch", "store", "notify")),
            ("transcode-1", ("transcode",)),
            ("scripted-1", ("scripted",)),
            ("scripted-2", ("scripted",)),
        ):
            self.starts(name, roles)
        self._tell_jobs()
        self.tell(Sample, tenant="limited", limit=3, slots=1, running=1)
        self.exits = dict.fromkeys(self.pids, 0)
        self.keys = keys_of(self.tales)
        self.forgotten = list(OF_THE_INSTALLATION)
        self.forgotten_files = list(self.files)

    def now(self) -> float:
        self.at_s = round(self.at_s + 0.01, 3)
        return self.at_s

    def tell(self, kind: Any, **fields: Any) -> Any:
        """A record, now; one of an answer was asked for just before."""
        at_s = self.now()
        if kind in (Submitted, CancelAnswered, ReplayAnswered):
            fields.setdefault("asked_s", at_s - 0.005)
        event = kind(**{"at_s": at_s, **fields})
        self.history.append(event)
        return event

    def starts(self, name: str, roles: tuple[str, ...]) -> None:
        self.pids[name] = 1000 + len(self.history)
        self.tell(ProcessStarted, name=name, roles=roles, pid=self.pids[name])

    def dies(self, name: str, status: int = -9) -> None:
        self.tell(ProcessEnded, name=name, pid=self.pids[name], status=status)

    def fault(self, name: str, *victims: str, lasts_s: float = 0.0) -> None:
        self.faults += 1
        self.tell(FaultBegan, number=self.faults, name=name, victims=victims)
        self.at_s += lasts_s
        self.tell(FaultEnded, number=self.faults, name=name)

    def power_fails(self, from_s: float, to_s: float) -> None:
        """What was acknowledged between the two may be undone."""
        self.history.append(TailLost(at_s=to_s, server="redis-0", since_s=from_s))

    def tale(self, number: int) -> Tale:
        return self.tales[job_id(number)]

    def of(self, kind: type[Any], job: str | None = None) -> list[Any]:
        """Records of one kind, of one job."""
        return [
            event for event in self.history if isinstance(event, kind) and job in (None, getattr(event, "job", None))
        ]

    def change(self, record: Event, **fields: Any) -> None:
        """One record becomes another."""
        self.history[self.history.index(record)] = msgspec.structs.replace(record, **fields)

    def key(self, name: str, **fields: Any) -> None:
        """One key is another, or there is one more."""
        for index, key in enumerate(self.keys):
            if key.name == name:
                self.keys[index] = msgspec.structs.replace(key, **fields)
                return
        self.keys.append(KeyFacts(**{"partition": "00", "name": name, "ttl_ms": -1, "size": 1, **fields}))

    def told(self) -> list[Event]:
        """The history, with the end of every process, long after all else."""
        at_s = self.at_s + 60.0
        return [
            *self.history,
            *(ProcessEnded(at_s=at_s, name=name, pid=pid, status=0) for name, pid in self.pids.items()),
        ]

    def plan(self) -> Plan:
        return Plan(seed=1, profile=self.profile, jobs=tuple(self.jobs), faults=())

    def leavings(self) -> Leavings:
        return Leavings(
            jobs={
                job: JobFacts(job=job, fields=tale.fields, log=tale.log, kids=tale.kids)
                for job, tale in self.tales.items()
            },
            keys=self.keys,
            files=self.files,
            manifests=self.manifests,
            digests=self.digests,
            server_ms_at_0=MS_AT_0,
            forgotten=self.forgotten,
            forgotten_files=self.forgotten_files,
            exits=self.exits,
            processes=self.processes,
            log_errors=self.log_errors,
            unquiet=self.unquiet,
        )

    def submits(self, number: int) -> Tale:
        plan = JOBS[number]
        steps = plan.work.steps if isinstance(plan.work, Scripted) else None
        tale = Tale(self, job_id(number), plan.tenant, steps)
        tale.event("job.queued", stage="step1")
        self.tell(Submitted, number=number, job=tale.job, tenant=plan.tenant, key=f"k{number}", status="202")
        return tale

    def shows(self, event: str, job: str, rev: int | None = None, **fields: Any) -> None:
        """A frame for the one watcher."""
        tale = self.tales[job]
        known = event.startswith("job.") and event != "job.progress" and rev is not None
        identity = f"e1.{tale.log[rev - 1]['id']}" if known and rev else None
        self.tell(Frame, watcher="w0", job=job, connection=1, event=event, rev=rev, **{"id": identity, **fields})

    def _tell_jobs(self) -> None:
        self._watched(self.submits(0))
        self._with_children(self.submits(1))
        self._media(self.submits(2))
        self._cancelled(self.submits(3))
        self._refused(self.submits(4))
        self._lost_once(self.submits(5))
        self._failed(self.submits(6))

    def _watched(self, tale: Tale) -> None:
        self.shows("snapshot", tale.job, 1, state="queued", percent=0.0, id=f"e1.{tale.log[0]['id']}")
        first = tale.executes("step1")
        self.shows("job.started", tale.job, 2)
        self.shows("job.progress", tale.job, 2, percent=40.0)
        tale.next_stage("step1", "step2")
        self.shows("job.stage", tale.job, 3)
        second = tale.executes("step2")
        self.shows("job.started", tale.job, 4)
        self.shows("job.progress", tale.job, 4, percent=90.0)
        tale.completes({"fences": [first, second]})
        self.shows("job.completed", tale.job, 5)
        self.shows("end", tale.job, state="completed")
        self.tell(WatcherLeft, watcher="w0", job=tale.job, how="end")

    def _with_children(self, tale: Tale) -> None:
        first = tale.executes("step1", how="split")
        tale.event("job.waiting", children=2)
        for number in (1, 2):
            child = Tale(self, f"{tale.job}.{number}", "many", (Works(),))
            child.event("job.queued", stage="step1")
            fence = child.executes("step1")
            child.completes({"fences": [fence]})
            tale.kids[str(number)] = f"completed {fence}"
        tale.kids |= {"open": "0", "sum": "200", "base": "0", "reach": "50"}
        tale.event("job.queued", stage="step2")
        second = tale.executes("step2")
        tale.completes({"fences": [first, second]})

    def _media(self, tale: Tale) -> None:
        stages = ("ingest", "fetch", "transcode", "store")
        for stage, following in pairwise(stages):
            tale.takes_up(stage)
            tale.next_stage(stage, following)
        fence = tale.takes_up("store")
        path = f"out/{tale.job}/{fence}"
        tale.completes({"path": path, "outputs": [OUTPUT]})
        manifest = {"version": 1, "job": tale.job, "tenant": "default", "outputs": [OUTPUT]}
        self.manifests[f"{path}/manifest.json"] = manifest
        self.digests[f"{path}/output.mp3"] = DIGEST
        self.files += [f"{path}/manifest.json", f"{path}/output.mp3"]

    def _cancelled(self, tale: Tale) -> None:
        fence = tale.takes_up("step1", "scripted-1")
        self.tell(CancelAnswered, job=tale.job, status="flagged")
        self.tell(ExecutionEnded, job=tale.job, stage="step1", fence=fence, pid=self.pids["scripted-1"], how="stopped")
        tale.event("job.cancelled", by="client")

    def _refused(self, tale: Tale) -> None:
        tale.executes("step1", how="refused")
        tale.event("job.failed", error={"code": "NOT_MEDIA"})
        tale.event("job.replayed", stage="step1")
        self.tell(ReplayAnswered, job=tale.job, status="ok")
        tale.executes("step1", how="refused")
        tale.event("job.failed", error={"code": "NOT_MEDIA"})

    def _lost_once(self, tale: Tale) -> None:
        tale.takes_up("step1", "scripted-2")
        self.fault("kill_worker", "scripted-2")
        self.dies("scripted-2")
        self.starts("scripted-2", ("scripted",))
        tale.event("job.retrying", reason=LOST)
        tale.fields["crashes"] = "1"
        first = tale.executes("step1")
        tale.next_stage("step1", "step2")
        second = tale.executes("step2")
        tale.completes({"fences": [first, second]})

    def _failed(self, tale: Tale) -> None:
        for attempt in range(1, 5):
            tale.executes("step1", how="error")
            tale.fields["attempt"] = str(attempt)
            kind = "job.retrying" if attempt < 4 else "job.failed"
            tale.event(kind, error={"code": "NET_TEMP"})
