"""The one settings tree: a TOML file, then the environment, then flags.

`section.field` is `REELWAY_SECTION_FIELD` in the environment; secrets can be read from a file
named by `REELWAY_SECTION_FIELD_FILE`. Unknown names and bad values are errors that name the key
and a likely correction.
"""

import difflib
import os
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from actors.settings_tree import (
    EgressSettings,
    FetchSettings,
    GatewaySettings,
    IngestSettings,
    KernelSettings,
    LoggingSettings,
    MediaSettings,
    MetricsSettings,
    NotifySettings,
    ReaperSettings,
    RedisSettings,
    Section,
    Settings,
    StageSettings,
    StorageSettings,
    StoreSettings,
    TranscodeSettings,
    default_data_dir,
)
from actors.settings_values import Secret, SettingsError, convert

__all__ = [
    "OTHER_NAMES",
    "SHORT_NAMES",
    "EgressSettings",
    "FetchSettings",
    "GatewaySettings",
    "IngestSettings",
    "KernelSettings",
    "LoggingSettings",
    "MediaSettings",
    "MetricsSettings",
    "NotifySettings",
    "ReaperSettings",
    "RedisSettings",
    "Section",
    "Settings",
    "SettingsError",
    "StageSettings",
    "StorageSettings",
    "StoreSettings",
    "TranscodeSettings",
    "default_data_dir",
    "environment_name",
    "keys",
    "load",
]

SHORT_NAMES: Mapping[str, str] = types.MappingProxyType(
    {
        "REELWAY_STORAGE_URL": "storage.url",
        "REELWAY_REDIS_URL": "redis.url",
        "REELWAY_PARTITIONS": "redis.partitions",
        "REELWAY_FFMPEG": "media.ffmpeg",
        "REELWAY_EGRESS_ALLOW": "egress.allow",
        "REELWAY_DATA_DIR": "data_dir",
    }
)
"""Environment names that stay short, and the key each one sets."""

OTHER_NAMES = frozenset(
    {"REELWAY_CONFIG", "REELWAY_URL", "REELWAY_KEY", "REELWAY_KEY_FILE", "REELWAY_NATIVE", "REELWAY_NATIVE_SETTINGS"}
)
"""Environment names with our prefix that are not part of the tree."""

_PREFIX = "REELWAY_"
_FILE = "_FILE"


def keys() -> dict[str, Any]:
    """Every key (`section.field`) of the tree and its annotated type."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        if isinstance(hint, type) and issubclass(hint, Section):
            for field, inner in get_type_hints(hint, include_extras=True).items():
                found[f"{name}.{field}"] = inner
        else:
            found[name] = hint
    return found


def environment_name(key: str) -> str:
    """The environment name that sets a key; the short one where there is one."""
    short = {target: name for name, target in SHORT_NAMES.items()}
    return short.get(key) or _PREFIX + key.replace(".", "_").upper()


def load(
    environ: Mapping[str, str] | None = None,
    config_path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings from the file, the environment and flags, the later one winning.

    The file is `config_path`, or what REELWAY_CONFIG names, or none. `overrides` maps keys
    (`section.field`) to values; text is read as in the environment. Raises SettingsError.
    """
    environ = os.environ if environ is None else environ
    known = keys()
    values: dict[str, Any] = {"data_dir": default_data_dir(environ)}
    path = config_path or (Path(environ["REELWAY_CONFIG"]) if environ.get("REELWAY_CONFIG") else None)
    if path is not None:
        values |= _from_file(path, known)
    values |= _from_environment(environ, known)
    for key, value in (overrides or {}).items():
        values[key] = convert(_known(key, known, "setting"), value, key)
    return _build(values)


def _from_file(path: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise SettingsError(f"The settings file {path} is not valid TOML: {error}.") from None
    values: dict[str, Any] = {}
    for name, entry in tree.items():
        is_section = isinstance(entry, dict) and name not in known
        flat = {f"{name}.{field}": value for field, value in entry.items()} if is_section else {name: entry}
        for key, value in flat.items():
            values[key] = convert(_known(key, known, f"key in {path}"), value, key)
    return values


def _from_environment(environ: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, Any]:
    names = {environment_name(key): key for key in known}
    names |= {_PREFIX + key.replace(".", "_").upper(): key for key in known}
    values: dict[str, Any] = {}
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or name in OTHER_NAMES:
            continue
        key = names.get(name)
        text = environ[name]
        if key is None and name.endswith(_FILE):
            key = names.get(name.removesuffix(_FILE))
            if key is not None and not _is_secret(known[key]):
                raise SettingsError(f"{name} is not known: only secrets are read from files.")
            text = _secret_file(name, text) if key is not None else text
        if key is None:
            raise SettingsError(f"{name} is not a setting.{_did_you_mean(name, names)}")
        values[key] = convert(known[key], text, name)
    return values


def _secret_file(name: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{name} names a file that cannot be read: {error.strerror or error}.") from None


def _build(values: Mapping[str, Any]) -> Settings:
    sections: dict[str, dict[str, Any]] = {}
    plain: dict[str, Any] = {}
    for key, value in values.items():
        section, dot, field = key.partition(".")
        if dot:
            sections.setdefault(section, {})[field] = value
        else:
            plain[key] = value
    hints = get_type_hints(Settings)
    built = {name: hints[name](**fields) for name, fields in sections.items()}
    settings = Settings(**plain, **built)
    if settings.kernel.beat_s * 2 > settings.kernel.lease_s:
        raise SettingsError("kernel.beat_s must be at most half of kernel.lease_s.")
    return settings


def _known(key: str, known: Mapping[str, Any], what: str) -> Any:
    if key not in known:
        raise SettingsError(f"{key} is not a known {what}.{_did_you_mean(key, known)}")
    return known[key]


def _did_you_mean(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _is_secret(hint: Any) -> bool:
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    options = get_args(inner) if get_origin(inner) in (Union, types.UnionType) else (inner,)
    return Secret in options
