"""Guards of the streams of all jobs and of the WebSocket: nothing foreign, nothing missing, nothing twice."""

from tests.faults.mutations.mutation import Mutation

WATCH, CHANNEL = "gateway/streams/tenant_watch.py", "gateway/streams/tenant_channel.py"
FEED, SOCKET, SESSION = (
    "gateway/streams/feed_reader.py", "gateway/streams/websocket.py", "gateway/streams/ws_session.py",
)  # fmt: skip
TESTS = "tests/gateway"
TENANT, PURE, WS = f"{TESTS}/test_tenant_events.py", f"{TESTS}/test_tenant_watch.py", f"{TESTS}/test_websocket.py"

MUTATIONS = (
    Mutation(
        name="tenant-snapshot-filter",
        guard="an event that a snapshot of all jobs holds already is not shown again",
        file=WATCH,
        old="            if event.rev <= mark.rev:\n                return ()\n",
        new="",
        tests=(f"{PURE}::test_what_a_snapshot_has_shown_is_not_shown_again",),
    ),
    Mutation(
        name="tenant-goes-forward",
        guard="an event of the feed that was passed is not shown again",
        file=WATCH,
        old="        if place_of(event.entry) <= place_of(self.entry):\n            return ()\n",
        new="",
        tests=(f"{PURE}::test_it_holds_until_it_is_released_and_then_shows_each_event_once",),
    ),
    Mutation(
        name="tenant-snapshot-place",
        guard="the place that a snapshot gives is the tenant's own, from before its jobs were read",
        file=CHANNEL,
        old="        entry = BEGINNING if newest is None else newest.entry\n",
        new="        entry = next(iter(self._context.pump.tails))._places[self.partition].feed\n",
        tests=(f"{TENANT}::test_another_tenant_is_neither_seen_nor_heard",),
    ),
    Mutation(
        name="tag-holds",
        guard="nothing overtakes an event whose job's tags are not known yet",
        file=WATCH,
        old="            self.unknown = event.job\n            self.holding = True\n",
        new="            self.unknown = event.job\n",
        tests=(f"{PURE}::test_a_job_that_is_not_known_holds_up_everything_behind_it",),
    ),
    Mutation(
        name="feed-proof",
        guard="what follows a cursor is shown only if the cursor's own entry is still in the feed",
        file=FEED,
        old="            if entry != BEGINNING and not held:\n                return None\n",
        new="",
        tests=(f"{TENANT}::test_the_feed_trimmed_past_a_cursor_is_a_resync_and_not_a_part",),
    ),
    Mutation(
        name="feed-epoch",
        guard="a cursor of another feed is not continued in this one",
        file=FEED,
        old="            elif known_epoch != epoch:\n                return None\n",
        new="",
        tests=(f"{TENANT}::test_a_cursor_that_proves_nothing_is_answered_with_resync[OTHER]",),
    ),
    Mutation(
        name="feed-tenant",
        guard="the feed of a partition shows each tenant its own events",
        file=FEED,
        old="                if owner in fields:\n",
        new="                if True:\n",
        tests=(f"{TENANT}::test_the_timeline_of_a_tenant_is_read_page_by_page",),
    ),
    Mutation(
        name="catch-up-in-one-piece",
        guard="what a slow watcher has missed does not make it look slower than it is",
        file="gateway/streams/subscription.py",
        old='            connection.send(b"".join([shown(item, self.name) for item in items]))\n',
        new="            for item in items:\n                connection.send(shown(item, self.name))\n",
        tests=(f"{TESTS}/test_subscription.py::test_what_was_missed_is_written_in_one_piece_however_large_it_is",),
    ),
    Mutation(
        name="unfinished-search",
        guard="a search of the feed that stopped early is not taken for the end of the feed",
        file=CHANNEL,
        old="        if len(events) > CATCH_UP_EVENTS or not is_whole:\n",
        new="        if len(events) > CATCH_UP_EVENTS:\n",
        tests=(f"{TENANT}::test_a_search_that_stops_early_is_not_taken_for_the_end",),
    ),
    Mutation(
        name="nothing-behind-a-gap",
        guard="what arrives while Redis is away is not shown behind what could not be read",
        file="gateway/streams/subscription.py",
        old="            self.watch.lose()\n            self.connection.leave",
        new="            self.connection.leave",
        tests=(f"{TESTS}/test_subscription.py::test_what_arrives_while_redis_is_away_is_not_shown_behind_a_gap",),
    ),
    Mutation(
        name="websocket-origin",
        guard="a page of another site opens no WebSocket",
        file=SOCKET,
        old="    _check_origin(request, context)\n",
        new="",
        tests=(f"{WS}::test_pages_of_other_sites_are_refused_before_the_upgrade[https://evil.example-False]",),
    ),
    Mutation(
        name="websocket-strangers",
        guard="few connections of one address may keep silent about who they are",
        file=SOCKET,
        old="    if principal is None and context.strangers.is_crowded(address):\n",
        new="    if False:\n",
        tests=(f"{WS}::test_who_does_not_introduce_himself_is_closed_and_few_may_try_at_once",),
    ),
    Mutation(
        name="websocket-introduction",
        guard="a client that does not say who it is is closed",
        file=SOCKET,
        old="        async with asyncio.timeout(context.bounds.introduction_s):\n",
        new="        async with asyncio.timeout(None):\n",
        tests=(f"{WS}::test_who_does_not_introduce_himself_is_closed_and_few_may_try_at_once",),
    ),
    Mutation(
        name="websocket-silence",
        guard="a client that answers no ping is given up",
        file="gateway/streams/connection.py",
        old="self.wire.answers and now_s - self._heard_at_s > SILENT_HEARTBEATS * self._heartbeat_s",
        new="False",
        tests=(f"{WS}::test_a_client_that_answers_no_ping_is_gone",),
    ),
    Mutation(
        name="websocket-subscriptions",
        guard="a connection holds a bounded number of subscriptions",
        file=SESSION,
        old="            if len(self._connection.subscriptions) >= MOST_SUBSCRIPTIONS:\n",
        new="            if False:\n",
        tests=(f"{WS}::test_what_cannot_be_followed_is_said_and_the_rest_goes_on",),
    ),
    Mutation(
        name="spread-of-a-drain",
        guard="the last to be told does not come back sooner because the first have gone",
        file="gateway/streams/streams.py",
        old="        return random.randint(500, 1000 + self._spread_ms)\n",
        new="        return random.randint(500, 1000 + SPREAD_MS_PER_STREAM * len(self._open))\n",
        tests=(f"{TESTS}/test_stream_life.py::test_told_moments_stay_spread_when_the_first_have_gone",),
    ),
)
