"""What one run will do, drawn from its seed before anything starts: the work, and the faults with their times.

Times are seconds since the load began. The same seed and profile give the same plan; what the processes make of it is
up to the machine.
"""

from typing import Literal

import msgspec

from actors.kernel.keys import Priority

Topology = Literal["single", "cluster"]
Fsync = Literal["everysec", "always"]
FfmpegKind = Literal["stand_in", "real", "none"]
Release = Literal["current", "other"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Plain data."""


class Works(Record, frozen=True, tag="works"):
    """Goes on for a while, reporting `reports` times, and is done."""

    lasts_s: float = 0.0
    reports: int = 0


class Errs(Record, frozen=True, tag="errs"):
    """Raises Transient in its first `times` attempts."""

    times: int
    lasts_s: float = 0.0


class Kills(Record, frozen=True, tag="kills"):
    """Kills its own process until it has cost the stage `times` workers, as a file that breaks a decoder would."""

    times: int


class Hangs(Record, frozen=True, tag="hangs"):
    """Reports nothing and does not end, in its first `times` attempts: the stall watchdog has to stop it."""

    times: int


class Refuses(Record, frozen=True, tag="refuses"):
    """Raises Permanent."""


class Splits(Record, frozen=True, tag="splits"):
    """Has children, whose end the next step waits for. `listed`: a batch, otherwise chunks."""

    children: "tuple[tuple[Step, ...], ...]"
    """The steps of each child."""
    on_child_failure: Literal["go_on", "fail"] = "go_on"
    listed: bool = False


Step = Works | Errs | Kills | Hangs | Refuses | Splits


class Scripted(Record, frozen=True, tag="scripted"):
    """A job whose stages are `step1`, `step2`, …, one for each step."""

    steps: tuple[Step, ...]


class Media(Record, frozen=True, tag="media"):
    """A job of the product, submitted over HTTP. `sample` names a file of the sources."""

    sample: str
    format: str
    how: Literal["upload", "address"] = "address"
    ends: tuple[str, ...] = ("completed",)
    """The terminal states that the file itself allows."""


class WatcherPlan(Record, frozen=True):
    """Somebody who watches one job through the gateway."""

    after_s: float = 0.0
    """Since the job was accepted."""
    leaves_after_s: float | None = None
    """None: stays until the server ends the stream."""
    breaks_after_s: float | None = None
    """Breaks its own connection once, so much later, and comes back with its cursor."""


class JobPlan(Record, frozen=True):
    """One job, and what its client does with it."""

    number: int
    at_s: float
    tenant: str
    work: Scripted | Media
    priority: Priority = "normal"
    delay_s: float = 0.0
    """Asked for as its start."""
    deadline_s: float | None = None
    """Asked for. Only jobs that are meant to expire have one shorter than the run."""
    cancel_after_s: float | None = None
    """Since it was accepted."""
    replayed: bool = False
    """Once, if it failed, was cancelled or expired."""
    watchers: tuple[WatcherPlan, ...] = ()


class FaultPlan(Record, frozen=True):
    """One fault. Its victim is chosen with `seed` among what is there when it happens."""

    at_s: float
    name: str
    lasts_s: float
    seed: int


class Profile(Record, frozen=True):
    """How one kind of run looks."""

    name: str
    jobs: int
    chaos_s: float
    """How long work is submitted and faults happen."""
    topology: Topology = "single"
    fsync: Fsync = "everysec"
    ffmpeg: FfmpegKind = "stand_in"
    media_share: float = 0.25
    """Part of the jobs that are media jobs; 0 with `ffmpeg` none."""
    faults_per_s: float = 1.0
    releases: tuple[Release, ...] = ("current",)
    """Whose programs the workers are, in turn. The seam for rolling upgrades: see house/releases.py."""


class Plan(Record, frozen=True):
    """All of one run."""

    seed: int
    profile: Profile
    jobs: tuple[JobPlan, ...]
    faults: tuple[FaultPlan, ...]
