"""The `reelway` command: one file a subcommand.

`main` finds the subcommand and imports it alone, so that a short command starts fast; `calls` speaks to a gateway,
`connection` decides which one; `progress` draws; `interrupts` is what Ctrl-C does; `failure` is how every subcommand
says no.
"""
