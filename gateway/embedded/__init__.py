"""The embedded cluster: everything of a real one on this machine, with no configuration.

`data_directory` names what lies where, `instance` says who serves a data directory, `attach` finds or starts that
instance, `supervisor` starts and restarts the children, `child` is one of them, `redis_server` the first of them.
The children are ordinary `reelway run` processes with ordinary settings: nothing outside this package asks whether
it is embedded.
"""
