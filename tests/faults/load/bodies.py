"""The bodies that travel with a scripted job."""

import msgspec

from actors.media.task import Body, JobSpec, Progress, Result, StoredOutput, encode
from tests.faults.plan import Step

STAGES = tuple(f"step{number}" for number in range(1, 6))
"""Step k of a job is the stage named k-th here."""


class ScriptedSpec(JobSpec, frozen=True, kw_only=True):
    """The `spec`. It has the fields of a media job as well, since the gateway shows every job of its tenant."""

    steps: tuple[Step, ...]


class ScriptedInput(Body, frozen=True, kw_only=True):
    """The `input` of step `step`. `fences` are those under which the steps before it were committed."""

    step: int
    fences: tuple[str, ...] = ()


class ScriptedResult(Result, frozen=True, kw_only=True):
    """The `result`: the fence of every step, in order, so that it is known whose work was used.

    To the gateway it is that of a media job without files.
    """

    path: str = "scripted"
    outputs: tuple[StoredOutput, ...] = ()
    fences: tuple[str, ...]


FIRST_INPUT = encode(ScriptedInput(step=1))


def spec_of(name: str, steps: tuple[Step, ...]) -> bytes:
    """The `spec` of a job with these steps. `name` is for whoever reads the history."""
    return encode(ScriptedSpec(source=f"https://scripted.invalid/{name}", format="mp3", steps=steps))


def progress_of(stage: str) -> bytes:
    """A report as the gateway reads it."""
    return msgspec.json.encode(Progress(stage=stage))
