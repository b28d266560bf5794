"""Guards of the streams: what a watcher is shown, once and in order, and what one connection may cost."""

from tests.faults.mutations.mutation import Mutation

TAIL, WATCH = "gateway/streams/tail.py", "gateway/streams/watch.py"
CURSOR, RING = "gateway/streams/cursor.py", "gateway/streams/ring.py"
TESTS = "tests/gateway"

MUTATIONS = (
    Mutation(
        name="pump-checks-its-cursor",
        guard="a feed that does not continue where the pump stood is told to every watcher",
        file=TAIL,
        old="        elif epoch == place.epoch and (found or await self._last_entry(place) == place.feed):\n",
        new="        else:\n",
        tests=(f"{TESTS}/test_faults.py::test_a_feed_that_cannot_be_continued_is_told[_trim]",),
    ),
    Mutation(
        name="pump-checks-the-epoch",
        guard="a feed of another identity is not taken for the same",
        file=TAIL,
        old="elif epoch == place.epoch and (found or await self._last_entry(place) == place.feed):",
        new="elif found or await self._last_entry(place) == place.feed:",
        tests=(f"{TESTS}/test_faults.py::test_a_feed_that_cannot_be_continued_is_told[_change_epoch]",),
    ),
    Mutation(
        name="pump-reads-a-new-feed-whole",
        guard="a feed that began after the pump did is read from its first entry while it cannot have lost one",
        file=TAIL,
        old="            if whole and place.epoch in (None, epoch):\n",
        new="            if place.epoch in (None, epoch):\n",
        tests=(f"{TESTS}/test_faults.py::test_a_feed_that_begins_is_read_whole_while_no_entry_can_be_missing",),
    ),
    Mutation(
        name="proof-behind-the-read",
        guard="whether a feed can be continued is looked at when the read was answered, and not when it was sent",
        file=TAIL,
        old="            pipeline.execute_command(*xread(streams, count=READ_COUNT, block_ms=self._block_ms))\n"
        "            self._ask_for_proof(pipeline, asked)\n"
        "            read, *proof = await pipeline.execute()\n",
        new="            self._ask_for_proof(pipeline, asked)\n"
        "            pipeline.execute_command(*xread(streams, count=READ_COUNT, block_ms=self._block_ms))\n"
        "            *proof, read = await pipeline.execute()\n",
        tests=(f"{TESTS}/test_faults.py::test_a_feed_that_is_trimmed_while_it_is_read_is_told[True]",),
    ),
    Mutation(
        name="proof-of-who-wakes-up",
        guard="a partition whose read was sent without its proof is looked at before its news is passed on",
        file=TAIL,
        old="        await self._prove(tuple(place for place in self._lively if place not in asked))\n",
        new="",
        tests=(f"{TESTS}/test_faults.py::test_a_feed_that_is_trimmed_while_it_is_read_is_told[False]",),
    ),
    Mutation(
        name="pump-looks-once-a-second",
        guard="a feed that was replaced is noticed although nothing happens in it",
        file=TAIL,
        old="        if now_s - self._proved_at_s < PROOF_S:\n",
        new="        if True:\n",
        tests=(f"{TESTS}/test_tail.py::test_all_are_looked_at_once_a_second_and_those_with_news_each_time",),
    ),
    Mutation(
        name="pump-knows-an-empty-feed",
        guard="a feed that is replaced before anything was read of it is told",
        file=TAIL,
        old="if whole and place.epoch in (None, epoch):",
        new="if whole:",
        tests=(f"{TESTS}/test_tail.py::test_a_feed_in_the_place_of_another_is_told_although_nothing_happens_in_it",),
    ),
    Mutation(
        name="pump-takes-turns",
        guard="a long read holds nobody up",
        file=TAIL,
        old="            self._hub.event(event)\n            if number % YIELD_AFTER == 0:\n",
        new="            self._hub.event(event)\n            if False:\n",
        tests=(f"{TESTS}/test_tail.py::test_others_have_their_turn_within_a_long_read",),
    ),
    Mutation(
        name="unread-is-lag",
        guard="a gateway that has still to read is not taken for one that is up to date",
        file=TAIL,
        old="        if len(entries) == READ_COUNT:\n",
        new="        if False:\n",
        tests=(f"{TESTS}/test_tail.py::test_what_is_still_to_be_read_counts_as_lag",),
    ),
    Mutation(
        name="unready-while-behind",
        guard="no client is sent to a gateway whose pump is far behind",
        file="gateway/http/health.py",
        old="(lag_s < LONGEST_LAG_S and context.pump.connected)",
        new="context.pump.connected",
        tests=(f"{TESTS}/test_tail.py::test_a_pump_that_is_not_answered_makes_the_gateway_unready_until_it_is",),
    ),
    Mutation(
        name="progress-beside-the-feed",
        guard="progress takes no room from the events of the feed",
        file="actors/kernel/lua/parts/event.lua",
        old="  redis.call('XADD', PULSE, ",
        new="  redis.call('XADD', FEED, ",
        tests=(f"{TESTS}/test_stream_edges.py::test_fifty_thousand_reports_evict_no_end",),
    ),
    Mutation(
        name="pump-goes-forward",
        guard="the pump hands no entry on that lies before its place",
        file=TAIL,
        old="        if entries and place_of(entries[0][0].decode()) <= place_of(place.feed):\n",
        new="        if False:\n",
        tests=(f"{TESTS}/test_faults.py::test_what_was_read_before_a_hole_was_found_is_not_handed_on",),
    ),
    Mutation(
        name="resync-on-another-epoch",
        guard="a cursor of another feed is answered with `resync`",
        file=CURSOR,
        old="    if cursor.epoch != epoch:\n        return None\n",
        new="",
        tests=(f"{TESTS}/test_cursor_and_framing.py::test_a_cursor_is_continued_only_where_nothing_is_missing",),
    ),
    Mutation(
        name="log-without-a-hole",
        guard="a log with a hole is not shown as if it were whole",
        file=CURSOR,
        old="    if any(event.rev != seen + number for number, event in enumerate(rest, start=1)):\n"
        "        return None\n",
        new="",
        tests=(f"{TESTS}/test_cursor_and_framing.py::test_a_hole_is_found_although_the_log_reaches_far_enough",),
    ),
    Mutation(
        name="ring-knows-the-epoch",
        guard="memory continues no cursor of another feed",
        file=RING,
        old="if event.entry == entry and event.epoch == epoch:\n                return event, tuple(events)",
        new="if event.entry == entry:\n                return event, tuple(events)",
        tests=(f"{TESTS}/test_ring_and_hub.py::test_the_ring_continues_a_cursor_it_holds",),
    ),
    Mutation(
        name="ring-bound",
        guard="memory holds a bounded window of the feed",
        file=RING,
        old="        while len(self._events) > self._most_events or self.size_bytes > self._most_bytes:\n",
        new="        while False:\n",
        tests=(f"{TESTS}/test_ring_and_hub.py::test_the_ring_is_bounded_by_number_and_by_size",),
    ),
    Mutation(
        name="ring-ends-at-a-hole",
        guard="memory from before a hole continues nobody",
        file="gateway/streams/hub.py",
        old="        self._rings[partition].clear()\n",
        new="",
        tests=(f"{TESTS}/test_ring_and_hub.py::test_a_hole_empties_the_ring_of_its_partition",),
    ),
    Mutation(
        name="conflation-bound",
        guard="a watcher that is behind costs a bounded number of events",
        file="gateway/streams/held.py",
        old="len(self._events) >= HELD_EVENTS or ",
        new="",
        tests=(f"{TESTS}/test_watch.py::test_too_much_to_hold_means_reading_again",),
    ),
    Mutation(
        name="held-size",
        guard="a watcher that is behind costs a bounded memory",
        file="gateway/streams/held.py",
        old=" or self._size_bytes > HELD_BYTES",
        new="",
        tests=(f"{TESTS}/test_watch.py::test_a_few_large_events_are_too_much_to_hold_as_well",),
    ),
    Mutation(
        name="slow-socket-holds",
        guard="nothing is written to a socket that takes nothing",
        file="gateway/streams/connection.py",
        old="                follower.hold()\n",
        new="                pass\n",
        tests=(f"{TESTS}/test_process.py::test_a_slow_reader_gets_every_durable_event_and_the_newest_progress",),
    ),
    Mutation(
        name="snapshot-rev-filter",
        guard="an event that the snapshot holds already is not shown again",
        file=WATCH,
        old="        if event.rev <= self.rev:\n            return ()\n",
        new="",
        tests=(f"{TESTS}/test_watch.py::test_an_event_between_registration_and_snapshot_is_shown_once",),
    ),
    Mutation(
        name="gap-means-reading-again",
        guard="an event after a missing one is not shown",
        file=WATCH,
        old="        if event.rev != self.rev + 1:\n            self.must_read = True\n            return ()\n",
        new="",
        tests=(f"{TESTS}/test_watch.py::test_a_gap_is_never_shown_as_if_it_were_none",),
    ),
    Mutation(
        name="progress-never-goes-back",
        guard="progress older than what was shown is dropped",
        file=WATCH,
        old="return pulse.rev < self.rev or pulse.percent < self.percent or pulse.at_ms < self.progress_at_ms",
        new="return False",
        tests=(f"{TESTS}/test_watch.py::test_progress_older_than_what_was_shown_is_dropped",),
    ),
    Mutation(
        name="nothing-after-the-end",
        guard="nothing follows the terminal event",
        file=WATCH,
        old="        if self.must_read or self.end_state is not None:\n",
        new="        if self.must_read:\n",
        tests=(f"{TESTS}/test_watch.py::test_nothing_follows_the_end",),
    ),
    Mutation(
        name="register-before-reading",
        guard="nothing falls between the snapshot and the tail",
        file="gateway/streams/sse.py",
        old="    context.hub.watch(channel.topic, subscription)\n"
        "    context.streams.add(connection)\n"
        "    try:\n"
        "        opening = await channel.open(cursor)\n",
        new="    context.streams.add(connection)\n"
        "    try:\n"
        "        opening = await channel.open(cursor)\n"
        "        context.hub.watch(channel.topic, subscription)\n",
        tests=(
            f"{TESTS}/test_snapshot_then_tail.py::test_an_event_around_the_snapshot_is_delivered_exactly_once[after]",
        ),
    ),
    Mutation(
        name="snapshot-lies-before-the-end",
        guard="who is cut off between the snapshot of a job that has ended and its end is told the end afterwards",
        file="gateway/streams/opening.py",
        old="_before(view.rev, reading.log) if last else view.last_event",
        new="view.last_event",
        tests=(f"{TESTS}/test_streams.py::test_a_finished_job_is_told_at_once",),
    ),
    Mutation(
        name="another-tenants-ring",
        guard="memory shows nobody another tenant's job",
        file="gateway/streams/opening.py",
        old="    if found is None or found[0].tenant != tenant:\n",
        new="    if found is None:\n",
        tests=(f"{TESTS}/test_stream_life.py::test_another_tenants_job_looks_like_none",),
    ),
    Mutation(
        name="another-tenants-job",
        guard="another tenant's job looks like none",
        file="gateway/jobs/handlers.py",
        old="view is None or view.tenant != principal.tenant or not view.listed",
        new="view is None or not view.listed",
        tests=(f"{TESTS}/test_stream_life.py::test_another_tenants_job_looks_like_none",),
    ),
)
