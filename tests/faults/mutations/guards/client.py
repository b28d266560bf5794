"""Guards of the client: what a watcher is told across its connections, what is sent again, what becomes a file."""

from tests.faults.mutations.mutation import Mutation

TRANSPORT, WATCHING, PLACE = (f"gateway/client/{name}.py" for name in ("transport", "watching", "place"))
WATCH, FOREIGN, REQUESTS, FILES = (
    f"tests/client/test_{name}.py" for name in ("watch", "foreign_streams", "requests", "files")
)

MUTATIONS = (
    Mutation(
        name="client-notices-silence",
        guard="a connection on which nothing comes any more is given up",
        file=TRANSPORT,
        old=", sock_read=SILENCE_S",
        new="",
        tests=(f"{WATCH}::test_a_connection_that_is_half_open",),
    ),
    Mutation(
        name="client-connects-without-bound",
        guard="a watcher does not wait until another one has ended",
        file=TRANSPORT,
        old="limit=0",
        new="",
        tests=(f"{WATCH}::test_many_watchers_of_one_client",),
    ),
    Mutation(
        name="client-asks-where-again",
        guard="a gateway that has moved is found after its connection was lost",
        file=TRANSPORT,
        old="            self._address = None\n            raise\n",
        new="            raise\n",
        tests=(f"{REQUESTS}::test_a_gateway_that_moves",),
    ),
    Mutation(
        name="client-resumes",
        guard="a new connection goes on behind the last event",
        file=WATCHING,
        old="        return headers | ",
        new="        return headers or ",
        tests=(f"{FOREIGN}::test_coming_back_when_asked_to",),
    ),
    Mutation(
        name="client-comes-back-when-asked-to",
        guard="nobody reconnects sooner than the gateway asked for",
        file=WATCHING,
        old="pause(failure, self._retry_s)",
        new="pause(failure)",
        tests=(f"{FOREIGN}::test_coming_back_when_asked_to",),
    ),
    Mutation(
        name="client-tells-once",
        guard="an event that a gateway sends again is not told again",
        file=PLACE,
        old="        if self._told is not None and (identity == self._told or _is_before(identity, self._told)):\n"
        "            return False\n",
        new="",
        tests=(f"{FOREIGN}::test_nothing_is_told_twice_whatever_the_gateway_repeats",),
    ),
    Mutation(
        name="client-counts-anew-after-resync",
        guard="what follows a resync is told although its id is not newer than what was told before",
        file=PLACE,
        old="        self._told, self._contained, self._revs = None, identity, dict(revs)\n",
        new="        self._contained, self._revs = identity, dict(revs)\n",
        tests=(f"{FOREIGN}::test_what_counts_anew_after_a_resync",),
    ),
    Mutation(
        name="client-knows-what-a-snapshot-of-many-holds",
        guard="an event that a snapshot of all jobs holds already is not told after it, though its id is newer",
        file=PLACE,
        old="        if rev <= self._revs.get(job, -1):\n            return False\n",
        new="",
        tests=(f"{FOREIGN}::test_what_a_snapshot_of_all_jobs_holds_is_not_told_again",),
    ),
    Mutation(
        name="client-knows-what-a-snapshot-holds",
        guard="an event that a snapshot holds already is not told after it",
        file=PLACE,
        old="        if self._contained is not None and _is_before(identity, self._contained):\n"
        "            return False\n",
        new="",
        tests=(f"{FOREIGN}::test_what_counts_anew_after_a_resync",),
    ),
    Mutation(
        name="client-draws-a-key",
        guard="a submission whose answer was lost makes no second job",
        file="gateway/client/client.py",
        old='        headers = _JSON | {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}\n',
        new="        headers = _JSON\n",
        tests=(f"{REQUESTS}::test_an_answer_that_is_lost_makes_no_second_job",),
    ),
    Mutation(
        name="client-continues-the-same-file",
        guard="a download goes on only in the file that it began with",
        file="gateway/client/downloading.py",
        old=', "If-Range": self._entity_tag',
        new="",
        tests=(f"{FILES}::test_a_file_that_has_changed_is_never_half_of_each",),
    ),
    Mutation(
        name="client-checks-the-digest",
        guard="a file with other bytes than its job says does not get its name",
        file="gateway/client/downloading.py",
        old='hashlib.file_digest(file, "sha256").hexdigest() == self._output.sha256',
        new="True",
        tests=(f"{FILES}::test_a_file_that_has_changed_is_never_half_of_each",),
    ),
    Mutation(
        name="command-ends-a-call-in-order",
        guard="Ctrl-C leaves no call behind in the middle of its work",
        file="gateway/command/calls.py",
        old="            with in_order(interrupt):\n",
        new="            if interrupt:\n",
        tests=("tests/command/test_calls.py::test_ctrl_c_without_a_handler_of_ours",),
    ),
)
