"""The Lua verbs as files, as assembled texts and as calls.

`lua/parts/*.lua` are prepended to every verb in name order. The native workspace assembles the same texts; a test
compares the digests.
"""

from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import NoScriptError

from actors.kernel.keys import Keys
from actors.kernel.options import KernelOptions

LUA = Path(__file__).parent / "lua"
Argument = str | bytes | int | float


class Script(msgspec.Struct, frozen=True):
    """One verb, ready to be sent."""

    verb: str
    text: str
    digest: str
    """SHA-1 of the text in hexadecimal: the name under which Redis keeps it."""


@cache
def _parts() -> str:
    return "".join(path.read_text() for path in sorted((LUA / "parts").glob("*.lua")))


@cache
def script(verb: str) -> Script:
    """The assembled text of a verb."""
    text = _parts() + (LUA / f"{verb}.lua").read_text()
    return Script(verb, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def verbs() -> list[str]:
    return sorted(path.stem for path in LUA.glob("*.lua"))


def digests() -> dict[str, str]:
    """Verb to digest, for comparing two builds."""
    return {verb: script(verb).digest for verb in verbs()}


class Scripts:
    """Calls verbs on one asyncio client. Never repeats a call by itself, except where Redis has lost the script."""

    def __init__(self, client: redis.asyncio.Redis, options: KernelOptions) -> None:
        self._client = client
        self._common = options.common_arguments()

    async def call(self, verb: str, keys: Keys, extra: list[str], arguments: list[Argument]) -> Any:
        known = script(verb)
        names = keys.declared + extra
        values = [*names, *self._common, *arguments]
        try:
            # Not `evalsha`, which hands on the same words after wrapping them three times.
            return await self._client.execute_command("EVALSHA", known.digest, len(names), *values)  # type: ignore[no-untyped-call]
        except NoScriptError:
            return await self._client.eval(known.text, len(names), *values)


def text(value: Any) -> str:
    """A reply's bytes as text."""
    return value.decode() if isinstance(value, bytes) else str(value)
