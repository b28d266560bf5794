"""Guards of the reaper as a process: when silence proves something, and which files nobody needs."""

from tests.faults.mutations.mutation import Mutation

CONTINUITY, COLLECTOR = "actors/reaper/continuity.py", "actors/reaper/collector.py"
RULE, COLLECTED = "tests/actors/test_continuity.py", "tests/actors/test_collector.py"

MUTATIONS = (
    Mutation(
        name="reaper-watches-first",
        guard="a reaper ends nothing before it has heard of the server for a whole lease",
        file="actors/reaper/leases.py",
        old="            if not watch.proven:\n                return\n",
        new="",
        tests=("tests/actors/test_reaper.py::test_a_new_reaper_watches_before_it_ends_a_lease",),
    ),
    Mutation(
        name="continuity-a-whole-lease",
        guard="an answer proves nothing before a lease has passed",
        file=CONTINUITY,
        old=">= self._lease_ms\n",
        new=">= 0\n",
        tests=(f"{RULE}::test_a_new_reaper_watches_for_a_whole_lease",),
    ),
    Mutation(
        name="continuity-gap",
        guard="a gap of more than half a lease starts the watch again",
        file=CONTINUITY,
        old=" and gap_ms <= self._lease_ms / 2",
        new="",
        tests=(f"{RULE}::test_a_gap_of_more_than_half_a_lease_starts_the_watch_again",),
    ),
    Mutation(
        name="continuity-primary",
        guard="another primary starts the watch again",
        file=CONTINUITY,
        old="before.primary == answer.primary and ",
        new="",
        tests=(f"{RULE}::test_another_primary_starts_the_watch_again",),
    ),
    Mutation(
        name="continuity-drift",
        guard="a clock that drifts is noticed",
        file=CONTINUITY,
        old="        if not self._in_step(first, answer):\n",
        new="        if False:\n",
        tests=(f"{RULE}::test_a_slow_drift_of_the_clocks_is_noticed",),
    ),
    Mutation(
        name="continuity-step",
        guard="a step of a clock starts the watch again",
        file=CONTINUITY,
        old="        return least_ms <= server_ms <= most_ms\n",
        new="        return True\n",
        tests=(f"{RULE}::test_a_step_of_the_servers_clock_starts_the_watch_again",),
    ),
    Mutation(
        name="continuity-broken-connection",
        guard="what was heard over a connection that broke proves nothing",
        file=CONTINUITY,
        old="        self._first = self._last = None\n\n",
        new="\n",
        tests=(f"{RULE}::test_a_broken_connection_forgets",),
    ),
    Mutation(
        name="collector-current-fence",
        guard="the folder of the lease that stands is never deleted",
        file=COLLECTOR,
        old='    return not view.terminal and folder.rpartition("/")[2] == view.fence\n',
        new="    return False\n",
        tests=(f"{COLLECTED}::test_the_folder_of_the_current_fence_stays_however_long",),
    ),
    Mutation(
        name="collector-refs",
        guard="a folder that a job still refers to is not deleted",
        file=COLLECTOR,
        old='    if any(ref == folder or ref.startswith(f"{folder}/") for ref in view.refs):\n        return True\n',
        new="",
        tests=(f"{COLLECTED}::test_refs_keep_a_folder_until_the_job_drops_them",),
    ),
    Mutation(
        name="collector-published",
        guard="a published result is not deleted",
        file=COLLECTOR,
        old="    if folder == _published(view):\n        return True\n",
        new="",
        tests=(f"{COLLECTED}::test_the_result_stays_and_other_leases_of_store_go",),
    ),
    Mutation(
        name="collector-waits",
        guard="a folder goes only some time after nothing names it",
        file=COLLECTOR,
        old="        elif now_s - since_s >= self._settings.collect_after_s:\n",
        new="        else:\n",
        tests=(f"{COLLECTED}::test_a_folder_goes_ten_minutes_after_nothing_names_it",),
    ),
    Mutation(
        name="sweep-spares-the-result",
        guard="forgetting a job does not delete its result",
        file=COLLECTOR,
        old="            if folder != _published(view):\n",
        new="            if folder:\n",
        tests=(f"{COLLECTED}::test_retention_sweeps_all_but_the_published_result",),
    ),
    Mutation(
        name="collector-doubts-results",
        guard="a result that a power failure undid is looked at again",
        file="actors/reaper/collector.py",
        old="            if self._clock() - ended_s >= self._settings.collect_after_s:",
        new="            if True:",
        tests=("tests/actors/test_collector.py::test_a_result_that_a_power_failure_undid_goes",),
    ),
)
