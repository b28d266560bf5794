"""Results, limits and children, corrupted."""

import msgspec

from tests.faults.checker.corruptions.table import CUT, FILM, KIDS, W0, found_by, lose_job
from tests.faults.checker.story import Story
from tests.faults.checker.story_plan import DIGEST, OUTPUT
from tests.faults.history import Sample
from tests.faults.plan import Splits, Works


@found_by("one_result", "one_end_per_life")
def a_job_completes_twice(story: Story) -> None:
    story.tale(1).event("job.completed", outputs=[])


@found_by("one_result", "manifests_agree", "files_have_owners", "nothing_is_kept", "nothing_is_kept")
def a_result_is_of_another_fence(story: Story) -> None:
    story.tale(2).fields["result"] = msgspec.json.encode({"path": f"out/{FILM}/9.z", "outputs": [OUTPUT]}).decode()


@found_by("one_result")
def a_job_that_failed_has_a_result(story: Story) -> None:
    story.tale(4).fields["result"] = "{}"


@found_by("manifests_agree")
def a_manifest_lists_something_else(story: Story) -> None:
    next(iter(story.manifests.values()))["outputs"] = []


@found_by("manifests_agree")
def a_manifest_is_of_another_job(story: Story) -> None:
    next(iter(story.manifests.values()))["job"] = W0


@found_by("manifests_agree", "nothing_is_kept")
def a_published_result_is_gone(story: Story) -> None:
    story.files.clear()
    story.forgotten_files.pop(0)


@found_by("manifests_agree")
def a_published_file_is_broken(story: Story) -> None:
    story.digests = dict.fromkeys(story.digests, DIGEST[::-1])


@found_by("manifests_agree", "files_have_owners")
def a_manifest_contradicts_its_job(story: Story) -> None:
    story.files.append(f"out/{CUT}/1.n1/manifest.json")


@found_by("limits_kept")
def a_limit_is_exceeded(story: Story) -> None:
    story.tell(Sample, tenant="limited", limit=3, slots=4, running=2)


@found_by("limits_kept")
def more_run_than_a_limit_allows(story: Story) -> None:
    story.tell(Sample, tenant="limited", limit=3, slots=3, running=4)


@found_by("limits_kept")
def a_limit_is_another_one(story: Story) -> None:
    story.tell(Sample, tenant="limited", limit=4, slots=1, running=1)


@found_by("limits_kept")
def nobody_looks_at_a_limit(story: Story) -> None:
    story.history.remove(story.of(Sample)[0])


@found_by("rows_agree")
def a_row_says_something_else_than_its_child(story: Story) -> None:
    story.tale(1).kids["1"] = "failed 1.n1"


@found_by("rows_agree")
def a_parent_completes_before_its_child(story: Story) -> None:
    story.tale(1).kids |= {"1": "open", "open": "1"}


@found_by("rows_agree")
def a_count_of_open_children_is_wrong(story: Story) -> None:
    story.tale(1).kids["open"] = "-1"


def plan_children(story: Story, count: int) -> None:
    """The parent's spec says that it has so many."""
    steps = (Splits(children=((Works(),),) * count), Works())
    story.tale(1).fields["spec"] = msgspec.json.encode({"steps": msgspec.to_builtins(steps)}).decode()


@found_by("rows_agree")
def a_parent_completes_with_too_few_children(story: Story) -> None:
    plan_children(story, 3)


@found_by("rows_agree")
def a_parent_has_too_many_children(story: Story) -> None:
    plan_children(story, 1)


@found_by("children_end_with_parents", "accepted_once")
def a_child_has_no_parent(story: Story) -> None:
    lose_job(story, 1)


@found_by("rows_agree")
def a_child_has_no_row(story: Story) -> None:
    del story.tale(1).kids["2"]


@found_by("allowed_end", "one_end_per_life", "children_end_with_parents", "rows_agree")
def a_child_outlives_its_parent(story: Story) -> None:
    child = story.tales[f"{KIDS}.2"]
    child.log.pop()
    child.fields |= {"state": "running", "rev": "2", "last_event": child.log[-1]["id"]}
    del child.fields["result"]
