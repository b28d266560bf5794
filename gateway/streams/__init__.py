"""Live events: from the feeds of the partitions to every watcher, without a hole and without a repeat.

    pump ──► hub ──► watch (one a connection: what was shown, what comes next) ──► connection ──► socket
      │       └► ring (recent durable events, for reconnects)
      └── reads feed and pulse of all partitions with one blocking XREAD

`hub`, `ring`, `watch`, `cursor` and `framing` are pure; `pump`, `reader`, `connection` and `sse` do the I/O.
"""
