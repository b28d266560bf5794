"""The scripts of what concerns the whole installation, `lua/sys/*.lua`.

Their keys lie under `rw:{sys}:`, or are the ones they are given of a single partition. They know nothing of jobs, so
`lua/parts` is not prepended; each file is the whole text.
"""

from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from typing import Any

import redis.asyncio
from redis.exceptions import NoScriptError

from actors.kernel.scripts import LUA, Argument, Script

SYSTEM = "rw:{sys}:"
"""Prefix of every key that belongs to no partition; one hash slot."""


@cache
def system_script(verb: str) -> Script:
    """The text of `lua/sys/<verb>.lua`."""
    text = (LUA / "sys" / f"{verb}.lua").read_text()
    return Script(verb, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


class SystemScripts:
    """Calls these scripts on one asyncio client. Repeats a call only where Redis has lost the script."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client

    async def call(self, verb: str, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> Any:
        known = system_script(verb)
        try:
            return await self._client.evalsha(known.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._client.eval(known.text, len(keys), *keys, *arguments)
