"""A system under test: what its folder says about it. Every folder beside this file that has a `system.toml` is one."""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

FOLDER = Path(__file__).parent
INSIDE = FOLDER / "inside"
"""The one folder on the import path of every Python system: the standard library only, nothing of ours beside it."""

Mode = Literal["noop", "chain", "latency", "sleep"]


class Modes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the adapter can be asked to do."""

    noop: bool = True
    chain: bool = True
    latency: bool = True
    sleep: bool = True
    chain_how: str = ""
    """What carries a job from one stage to the next one."""


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other settings of the same system, asked for by their name."""

    what: str


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `system.toml`."""

    name: str
    language: Literal["python", "node", "this"]
    """`this`: the installation that the bench itself runs in."""
    settings: str
    acknowledged: str
    recovery: str
    fence: str
    events: str
    results: str
    source: str
    """The page that the settings come from."""
    worker: tuple[str, ...]
    """Words of the command; the first one is looked up in the system's environment, the working folder is its own."""
    client: tuple[str, ...]
    modes: Modes
    variants: dict[str, Variant] = {}
    notes: tuple[str, ...] = ()
    """What a reader must know to read this system's figures rightly."""
    folder: Path = Path()

    def runs(self, mode: Mode) -> bool:
        """Whether the adapter knows this mode."""
        return bool(getattr(self.modes, mode))


def names() -> list[str]:
    """Every system, by name."""
    return sorted(each.parent.name for each in FOLDER.glob("*/system.toml"))


def load(name: str) -> System:
    """Reads one system. Raises ValueError where there is none of that name or its file is wrong."""
    if name not in names():
        raise ValueError(f"there is no system {name!r}; there are {', '.join(names())}")
    path = FOLDER / name / "system.toml"
    try:
        system = msgspec.convert({**tomllib.loads(path.read_text()), "folder": path.parent}, System)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    if system.name != name:
        raise ValueError(f"{path}: its name is {system.name!r}, its folder's is {name!r}")
    return system
