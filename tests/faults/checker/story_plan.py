"""What the run of story.py had planned.

number  job
0       two steps, watched from beginning to end
1       has two children, then one step more
2       a media job
3       is cancelled while it runs
4       is refused, replayed and refused again
5       loses its worker once
6       fails with errors that its plan has, and has one more step that it does not come to
"""

from tests.faults.plan import Errs, JobPlan, Media, Profile, Refuses, Scripted, Splits, WatcherPlan, Works

MS_AT_0 = 1_700_000_000_000.0
DIGEST = "d1" * 32
OUTPUT = {"name": "a.mp3", "file": "output.mp3", "sha256": DIGEST, "size_bytes": 3}
PROFILE = Profile(name="story", jobs=7, chaos_s=10.0)
TWO = Scripted(steps=(Works(), Works()))
JOBS = (
    JobPlan(number=0, at_s=0, tenant="default", work=TWO, watchers=(WatcherPlan(),)),
    JobPlan(number=1, at_s=0, tenant="many", work=Scripted(steps=(Splits(children=((Works(),), (Works(),))), Works()))),
    JobPlan(number=2, at_s=0, tenant="default", work=Media(sample="a", format="mp3")),
    JobPlan(number=3, at_s=0, tenant="limited", work=TWO, cancel_after_s=1.0),
    JobPlan(number=4, at_s=0, tenant="few", work=Scripted(steps=(Refuses(),)), replayed=True),
    JobPlan(number=5, at_s=0, tenant="many", work=TWO),
    JobPlan(number=6, at_s=0, tenant="many", work=Scripted(steps=(Errs(times=9), Works()))),
)
LOST = {"code": "WORKER_LOST"}


def job_id(number: int) -> str:
    return f"j00-{number:026d}"
