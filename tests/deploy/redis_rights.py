"""Writes what each kind of process may do in Redis: the commands of its scripts and of its own calls, and nothing else.

`python -m tests.deploy.redis_rights` writes compose/redis_rights; test_redis_users.py fails while it is out of date. A
script runs with the rights of who calls it, so a kind needs every command of the verbs that it calls.
"""

import re
from pathlib import Path

from actors.kernel.scripts import LUA, script
from actors.kernel.system_scripts import system_script

RIGHTS = Path(__file__).resolve().parents[2] / "compose" / "redis_rights"
KEYS = "rw:*"

EVERYBODY = (
    "ping", "select", "info", "time", "eval", "evalsha", "exists", "hsetnx", "hgetall", "cluster|info",
    "cluster|slots", "asking",
)  # fmt: skip
"""Looking at the server, at the topology and at what the installation says of itself; calling scripts."""

VERBS = {
    "worker": ("take", "beat", "commit", "fail", "release", "spawn", "announce", "withdraw", "enter"),
    "gateway": ("submit", "cancel", "replay", "delete", "purge", "turn", "pause", "copy_pauses", "survey", "workers"),
    "reaper": (
        "promote", "reap", "expire", "reconcile", "retention", "delete", "drop_consumers", "copy_pauses", "survey",
        "workers", "withdraw",
    ),
}  # fmt: skip
"""The scripts of each kind."""

CALLS = {
    # The doorbell; rows of children; leaving a limit; the endpoint of the notify stage.
    "worker": ("xread", "hmget", "zrem", "hset", "hdel"),
    # Jobs, listings, logs, feeds and dead letters; limits of tenants; taking back a pause.
    "gateway": (
        "get", "set", "del", "hget", "hmget", "hdel", "lrange", "zcard", "scard", "zcount", "zscore", "zrevrange",
        "zrevrangebyscore", "xread", "xrange", "xlen", "xinfo|stream", "type",
    ),
    # Leases, jobs whose files are swept, the newest of each listing, and who has asked an inbox for work.
    "reaper": (
        "get", "hget", "hmget", "srandmember", "srem", "xinfo|consumers", "zrange", "zrangebyscore", "zrem",
        "zrevrange",
    ),
}  # fmt: skip
"""What each kind calls without a script."""

INSPECTION = (
    "acl|whoami", "client|list", "client|kill", "config|get", "latency|latest", "latency|history",
    "memory|usage", "slowlog|get", "slowlog|len",
)  # fmt: skip
"""How the operator looks at the server; besides, it reads everything of ours and may what the others may."""
CONTAINERS = frozenset({"XGROUP", "XINFO"})
"""Commands whose right is given by subcommand."""
_CALL = re.compile(r"redis\.p?call\('([A-Z]+)'(?:,\s*'([A-Z]+)')?")


def commands_of(verb: str) -> set[str]:
    """The Redis commands in the text of a script."""
    text = system_script(verb).text if (LUA / "sys" / f"{verb}.lua").exists() else script(verb).text
    return {
        f"{command}|{subcommand}".lower() if command in CONTAINERS else command.lower()
        for command, subcommand in _CALL.findall(text)
    }


def rights_of(kind: str) -> list[str]:
    """The ACL rules of a kind, without its password."""
    commands = set(EVERYBODY)
    for member in VERBS if kind == "operator" else (kind,):
        commands.update(CALLS[member], *(commands_of(verb) for verb in VERBS[member]))
    wide: list[str] = []
    if kind == "operator":
        commands.update(INSPECTION)
        wide = ["+@read", "-@dangerous"]
    return ["resetchannels", f"~{KEYS}", "-@all", *wide, *(f"+{command}" for command in sorted(commands))]


def page() -> str:
    """The text of compose/redis_rights."""
    lines = [
        "# What each kind of process may do in Redis: user, then rules. The roles ingest, fetch, transcode, store and",
        "# notify are workers; the operator is a person. Written by `python -m tests.deploy.redis_rights`.",
        *(" ".join([kind, *rights_of(kind)]) for kind in (*VERBS, "operator")),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    RIGHTS.write_text(page(), "utf-8")
