"""How one value of the settings tree is read, and how secrets are kept out of sight."""

import types
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec


class SettingsError(ValueError):
    """A setting that cannot be used. The text is for the person who wrote it."""


class Secret:
    """A value that never shows itself in logs, errors or dumps."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the place that needs it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


def convert(hint: Any, value: Any, name: str) -> Any:
    """The value as the annotated type `hint`.

    Text is read as in the environment: numbers and booleans from their usual spelling, lists
    separated by commas, tables as name=value pairs, nothing for an optional value that is empty.
    Raises SettingsError with the name of the setting; a secret is never part of the text.
    """
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    options = get_args(inner) if get_origin(inner) in (Union, types.UnionType) else (inner,)
    from_text = isinstance(value, str)
    if isinstance(value, str):
        if value == "" and types.NoneType in options:
            return None
        if get_origin(inner) is tuple:
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        elif get_origin(inner) is dict:
            value = dict(_pair(part, name) for part in value.split(",") if part.strip())
    try:
        return msgspec.convert(value, hint, strict=not from_text, dec_hook=_from_text)
    except (msgspec.ValidationError, TypeError) as error:
        shown = "its value" if Secret in options else repr(value)
        raise SettingsError(f"{name}: {shown} is not usable: {error}.") from None


def _pair(text: str, name: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise SettingsError(
            f"{name}: {text.strip()!r} is not usable: pairs are written name=value, with commas between."
        )
    return key.strip(), value.strip()


def _from_text(kind: type, value: Any) -> Any:
    if isinstance(value, kind):
        return value
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser().absolute()
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"expected text, got {type(value).__name__}")
