"""Guards of the Python worker: beats, the watchdog, drains, and calls whose replies are lost."""

from tests.faults.mutations.guards.places import CASES, KERNEL
from tests.faults.mutations.mutation import Mutation

ACTOR, EXECUTION = "actors/kernel/actor.py", "actors/kernel/execution.py"
TAKING = "actors/kernel/taking.py"

MUTATIONS = (
    Mutation(
        name="beats-through-the-drain",
        guard="beats go on while a worker that was told to stop finishes its jobs",
        file=ACTOR,
        old="        self._draining.set()\n        await asyncio.wait([self._loop])\n        giving_back =",
        new="        self._draining.set()\n        await asyncio.to_thread(self._beats.stop)\n"
        "        await asyncio.wait([self._loop])\n        giving_back =",
        tests=(f"{KERNEL}/test_actor_stops.py::test_drain_lets_a_running_job_finish_while_beats_go_on",),
    ),
    Mutation(
        name="fenced-worker-stops",
        guard="a handler whose job is somebody else's is stopped",
        file=EXECUTION,
        old="        elif pulse is Pulse.FENCED:\n            self._halt(Stop.FENCED)\n",
        new="",
        tests=(f"{CASES}/test_leases_zombies.py::test_case_06_a_beat_does_not_steal_a_lease_back",),
    ),
    Mutation(
        name="stall-watchdog",
        guard="a job that stands still is stopped",
        file=EXECUTION,
        old="            if left_s <= 0:\n",
        new="            if False:\n",
        tests=(f"{KERNEL}/test_actor.py::test_a_standing_job_is_stopped_and_fails_as_stalled",),
    ),
    Mutation(
        name="unstoppable-handler",
        guard="a handler that cannot be stopped loses its lease",
        file=EXECUTION,
        old="            self._abandon()\n",
        new="",
        tests=(f"{KERNEL}/test_actor.py::test_beats_of_an_unstoppable_handler_end_after_the_kill_grace",),
    ),
    Mutation(
        name="suspended-worker-is-not-stalled",
        guard="a job that had no chance to move is not stopped as stalled",
        file=EXECUTION,
        old="            if overslept_s > LOOK_S:\n",
        new="            if False:\n",
        tests=(f"{KERNEL}/test_actor.py::test_time_in_which_the_worker_was_stopped_is_no_stall",),
    ),
    Mutation(
        name="sigterm-spends-nothing",
        guard="what does not fit into the grace is given back uncharged",
        file=EXECUTION,
        old='        if self._stop is Stop.GIVE_BACK:\n            return "release", await self._release(STOPPING)\n',
        new="",
        tests=(f"{KERNEL}/test_actor_stops.py::test_what_does_not_fit_into_the_grace_is_given_back_uncharged",),
    ),
    Mutation(
        name="again-first",
        guard="a worker reads returned work before all other",
        file="actors/kernel/order.py",
        old='["again", "alone", *_drawn_priorities()]',
        new='[*_drawn_priorities(), "again", "alone"]',
        tests=(f"{KERNEL}/test_actor.py::test_returned_work_is_started_first",),
    ),
    Mutation(
        name="take-repeats-its-nonce",
        guard="a take that was not answered is asked again under its nonce",
        file=TAKING,
        old="nonce = self._unanswered.setdefault(partition, new_nonce())",
        new="nonce = self._unanswered[partition] = new_nonce()",
        tests=(f"{KERNEL}/test_actor_faults.py::test_a_lost_reply_changes_nothing[take]",),
    ),
    Mutation(
        name="take-gives-back",
        guard="what a lost reply had granted to a worker that stops is given back",
        file=TAKING,
        old="        await self._give_back(partition, taken.grants[want:])\n",
        new="",
        tests=(f"{KERNEL}/test_actor_faults.py::test_what_a_take_without_an_answer_granted_is_given_back_at_the_end",),
    ),
    Mutation(
        name="ends-are-sent-until-answered",
        guard="the end of a lease is sent again until it is answered",
        file="actors/kernel/gather.py",
        old="ends = await persist(lambda: self._send(partition, items))",
        new="ends = await self._send(partition, items)",
        tests=(f"{KERNEL}/test_actor_faults.py::test_a_lost_reply_changes_nothing[commit]",),
    ),
    Mutation(
        name="scripts-are-sent-again",
        guard="a server that forgot the scripts gets them again",
        file="actors/kernel/scripts.py",
        old="            return await self._client.eval(known.text, len(names), *values)\n",
        new="            raise\n",
        tests=(f"{KERNEL}/test_actor_faults.py::test_scripts_are_sent_again_when_redis_forgot_them",),
    ),
    Mutation(
        name="suspect-runs-alone",
        guard="a worker takes nothing beside a job that has cost two workers",
        file=ACTOR,
        old="return suspects or len(self._running)",
        new="return len(self._running)",
        tests=(f"{KERNEL}/test_actor.py::test_nothing_is_taken_beside_a_suspect",),
    ),
    Mutation(
        name="doorbell-behind-the-last-id",
        guard="nothing that came between the last take and the doorbell is missed",
        file="actors/kernel/doorbell.py",
        old='"STREAMS", *inboxes, *ids]',
        new='"STREAMS", *inboxes, *("$" for _ in ids)]',
        tests=(f"{CASES}/test_connection.py::test_the_doorbell_rings_for_what_came_before_it_listened",),
    ),
    Mutation(
        name="bodies-are-bounded",
        guard="a body over 64 KiB does not reach Redis",
        file=EXECUTION,
        old="        check_bodies(result.result if isinstance(result, Done) else result.input)\n",
        new="",
        tests=(f"{KERNEL}/test_actor.py::test_a_body_over_64_kib_is_a_bug_of_its_stage",),
    ),
    Mutation(
        name="closed-connection",
        guard="a connection that closes under a call is a lost one, so the call is sent again",
        file="actors/kernel/connection.py",
        old="        pool.connection_class = _OURS[pool.connection_class]\n",
        new="",
        tests=(f"{CASES}/test_connection.py::test_a_connection_that_closes_under_a_call_is_lost_like_any_other",),
    ),
    Mutation(
        name="start-on-full-redis",
        guard="a role starts without writing where all is recorded, also on a full Redis",
        file="actors/kernel/server.py",
        old="    if not ours.keys() <= theirs.keys():\n",
        new="    if True:\n",
        tests=("tests/actors/test_installation.py::test_roles_of_an_installation_start_on_a_full_redis",),
    ),
)
