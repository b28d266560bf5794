"""Live events: from the feeds of the partitions to every watcher, without a hole and without a repeat.

    pump ──► hub ──► watch (one a connection: what was shown, what comes next) ──► connection ──► socket
      │       └► ring (recent durable events, for reconnects)
      └── its tails read feed and pulse: one blocking XREAD for all partitions, on a Redis Cluster one for each

`hub`, `ring`, `watch`, `cursor` and `framing` are pure; `pump`, `tail`, `reader`, `connection` and `sse` do the I/O.
"""
