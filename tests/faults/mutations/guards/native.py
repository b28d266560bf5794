"""Guards of the Rust half: the worker of transcode, and what a finished file must be."""

from tests.faults.mutations.mutation import Mutation

KERNEL, MEDIA = "native/crates/kernel", "native/crates/media"
ACTOR, STOPPING = f"{KERNEL}/tests/actor.rs", f"{KERNEL}/tests/stopping.rs"
EXECUTION = f"{KERNEL}/src/execution.rs"

MUTATIONS = (
    Mutation(
        name="native-stall-watchdog",
        guard="a job that stands still is stopped",
        file=EXECUTION,
        old="self.control.halt(Stop::Stalled);",
        new="",
        tests=(f"{ACTOR}::a_job_that_stands_still_fails_as_stalled",),
    ),
    Mutation(
        name="native-unstoppable-handler",
        guard="a handler that cannot be stopped loses its lease",
        file=EXECUTION,
        old="        self.beats.let_go(&self.task);\n        done.recv()\n",
        new="        done.recv()\n",
        tests=(f"{ACTOR}::a_handler_that_does_not_end_loses_its_lease_to_the_reaper",),
    ),
    Mutation(
        name="native-fenced-worker-stops",
        guard="a handler whose job is somebody else's is stopped",
        file=f"{KERNEL}/src/control.rs",
        old="Pulse::Fenced => self.halt(Stop::Fenced),",
        new="Pulse::Fenced => {}",
        tests=(f"{ACTOR}::a_job_that_somebody_else_took_is_left_alone",),
    ),
    Mutation(
        name="native-sigterm-spends-nothing",
        guard="what does not fit into the grace is given back uncharged",
        file=EXECUTION,
        old='(Some(Stop::GiveBack), Err(_)) => ("release", self.ends.end(release(STOPPING))),',
        new='(Some(Stop::GiveBack), Err(_)) => ("fail", self.fail(BUG_CODE, "stopped")),',
        tests=(f"{STOPPING}::what_does_not_fit_into_the_grace_is_given_back",),
    ),
    Mutation(
        name="native-beats-through-the-drain",
        guard="beats go on while a worker that was told to stop finishes its jobs",
        file=f"{KERNEL}/src/actor/stopping.rs",
        old="        self.presence.draining();\n",
        new="        self.presence.draining();\n"
        "        for shard in &self.shards {\n            shard.beats.stop();\n        }\n",
        tests=(f"{STOPPING}::a_drain_finishes_what_runs_and_takes_nothing_new",),
    ),
    Mutation(
        name="native-again-first",
        guard="a worker reads returned work before all other",
        file=f"{KERNEL}/src/order.rs",
        old="    let mut inboxes = vec![\n"
        '        keys.inbox(stage, lane, "again"),\n'
        '        keys.inbox(stage, lane, "alone"),\n'
        "    ];\n",
        new="    let mut inboxes = vec![\n"
        '        keys.inbox(stage, lane, "normal"),\n'
        '        keys.inbox(stage, lane, "again"),\n'
        '        keys.inbox(stage, lane, "alone"),\n'
        "    ];\n",
        tests=(f"{KERNEL}/src/order.rs::returned_work_is_read_first",),
    ),
    Mutation(
        name="exit-code-is-no-proof",
        guard="a result that plays and ends well is refused if it is not as long as its source",
        file=f"{MEDIA}/src/verify.rs",
        old="if !sound_is_whole(played_s, stream, plan.duration_s) {",
        new="if false {",
        tests=("native/crates/transcode/tests/sources.rs::a_result_from_a_part_of_the_source_is_refused",),
    ),
    Mutation(
        name="native-killed-reader",
        guard="a probe or a check that somebody killed says nothing about the file",
        file=f"{MEDIA}/src/probe.rs",
        old="finished.broken_off().map_or(Ok(finished), Err)",
        new="Ok(finished)",
        tests=("native/crates/transcode/tests/supervision.rs::a_reader_that_is_killed_says_nothing_about_the_file",),
    ),
)
