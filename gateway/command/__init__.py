"""The `reelway` command: one file a subcommand.

`main` finds the subcommand and imports it alone, so that a short command starts fast; `client` speaks to a gateway,
`connection` decides which one; `progress` draws; `failure` is how every subcommand says no.
"""
