"""Live events: from the feeds of the partitions to every watcher, without a hole and without a repeat.

    pump ──► hub ──► subscription ──► watch (what was shown, what comes next) ──► wire (bytes) ──► connection ──► socket
      │       └► ring (recent durable events)            ▲
      └── its tails read feed and pulse          channel (opening, catching up) ◄── ring, reader, feed_reader, …

A connection has one subscription (`sse`) or many (`websocket`, `ws_session`). What it follows is a channel: one job
(`job_channel`, `watch`, `opening`) or a tenant's jobs, perhaps of one tag (`tenant_channel`, `tenant_watch`, `tags`).

`hub`, `ring`, `watch`, `tenant_watch`, `held`, `opening`, `cursor`, `framing`, `wire` and `messages` are pure; `pump`,
`tail`, the readers, `connection`, `sse` and `websocket` do the I/O. What is sent in one turn of the event loop leaves
together (`outbox`); a session sleeps on its `wake`. One blocking XREAD serves all partitions, on a Redis Cluster one
each. `streams` knows all connections and has their clock; `timeline` answers with pages of JSON instead.
"""
