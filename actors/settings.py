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
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from actors.settings_values import Secret, SettingsError, convert


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file."""


class RedisSettings(Section, frozen=True):
    url: Annotated[str, Meta(description="redis://, rediss:// or unix:// address")] = "redis://127.0.0.1:6379/0"
    username: Annotated[str | None, Meta(description="ACL user")] = None
    password: Annotated[Secret | None, Meta(description="its password")] = None
    partitions: Annotated[
        int, Meta(ge=1, le=100, description="key partitions; fixed once the first role has started")
    ] = 16
    durability: Annotated[
        Literal["everysec", "always"],
        Meta(description="always: a submission is answered when Redis has it on disk"),
    ] = "everysec"


class KernelSettings(Section, frozen=True):
    lease_s: Annotated[float, Meta(gt=0, description="how long a worker may be silent")] = 10.0
    beat_s: Annotated[float, Meta(gt=0, description="pause between two beats of a worker")] = 2.5
    crash_budget: Annotated[int, Meta(ge=1, description="lost workers a stage may cost")] = 3
    deadline_s: Annotated[float, Meta(gt=0, description="longest life of an unfinished job")] = 86_400.0
    retention_s: Annotated[float, Meta(gt=0, description="how long a finished job is listed")] = 604_800.0
    idempotency_s: Annotated[float, Meta(gt=0, description="life of an Idempotency-Key")] = 86_400.0
    log_length: Annotated[int, Meta(ge=10, description="events kept for each job")] = 500
    feed_length: Annotated[int, Meta(ge=100, description="events kept for each partition")] = 100_000
    pulse_length: Annotated[int, Meta(ge=100, description="progress kept for each partition")] = 10_000


class StorageSettings(Section, frozen=True):
    url: Annotated[str, Meta(description="file:///…; empty: `storage` in the data directory")] = ""
    collect_after_s: Annotated[float, Meta(gt=0, description="age at which a folder that no job names is deleted")] = (
        600.0
    )
    results_s: Annotated[float, Meta(gt=0, description="life of published results")] = 2_592_000.0
    uploads_s: Annotated[float, Meta(gt=0, description="life of an upload no job needs")] = 86_400.0
    min_free_bytes: Annotated[int, Meta(ge=0, description="free space below which nothing new is taken")] = (
        2_147_483_648
    )


class MediaSettings(Section, frozen=True):
    ffmpeg: Annotated[str, Meta(description="path of ffmpeg; empty: the one that is installed")] = ""
    max_source_bytes: Annotated[int, Meta(ge=1, description="largest source")] = 53_687_091_200
    max_duration_s: Annotated[float, Meta(gt=0, description="longest source")] = 43_200.0
    max_pixels: Annotated[int, Meta(ge=256, description="width times height of a picture")] = 134_217_728


class StageSettings(Section, frozen=True):
    """What every stage has. The defaults of each stage are in its own class below."""

    concurrency: Annotated[int, Meta(ge=1, le=1000, description="jobs at once in one process")] = 4
    budget: Annotated[int, Meta(ge=1, description="errors a job may have at the stage")] = 3
    stall_timeout_s: Annotated[float, Meta(gt=0, description="a job that does not move for so long is ended")] = 60.0
    kill_grace_s: Annotated[float, Meta(gt=0, description="time a stage has to end itself")] = 5.0
    drain_grace_s: Annotated[float, Meta(ge=0, description="time running jobs have when the process is stopped")] = 25.0


class IngestSettings(StageSettings, frozen=True):
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 16


class FetchSettings(StageSettings, frozen=True):
    budget: Annotated[int, Meta(ge=1)] = 6
    connect_timeout_s: Annotated[float, Meta(gt=0, description="time to reach a site")] = 15.0
    read_timeout_s: Annotated[float, Meta(gt=0, description="longest silence of a site")] = 20.0


class TranscodeSettings(StageSettings, frozen=True):
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 1
    budget: Annotated[int, Meta(ge=1)] = 2


class StoreSettings(StageSettings, frozen=True):
    budget: Annotated[int, Meta(ge=1)] = 6


class NotifySettings(StageSettings, frozen=True):
    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 16
    budget: Annotated[int, Meta(ge=1)] = 12
    log: Annotated[str, Meta(description="file that gets one line for each finished job")] = ""


class ReaperSettings(Section, frozen=True):
    interval_s: Annotated[float, Meta(gt=0, description="pause between two passes")] = 1.0
    reconcile_s: Annotated[float, Meta(gt=0, description="one round over all live jobs")] = 60.0


class GatewaySettings(Section, frozen=True):
    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port to listen on; 0: a free one")] = 8080
    key: Annotated[Secret | None, Meta(description="API key; none: one is generated into data_dir/gateway.key")] = None
    upload_max_bytes: Annotated[int, Meta(ge=1, description="largest upload")] = 53_687_091_200
    upload_idle_s: Annotated[float, Meta(gt=0, description="longest silence within an upload")] = 60.0
    heartbeat_s: Annotated[float, Meta(gt=0, description="pause between two signs of life")] = 15.0
    stream_life_s: Annotated[float, Meta(gt=0, description="longest life of a stream")] = 600.0
    max_streams: Annotated[int, Meta(ge=1, description="event streams open at once in one process")] = 10_000
    ring_events: Annotated[int, Meta(ge=0, description="recent events kept in memory for each partition")] = 4096
    ring_bytes: Annotated[int, Meta(ge=0, description="memory for them, for each partition")] = 2_097_152
    shutdown_s: Annotated[float, Meta(gt=0, description="time requests have at the end")] = 8.0


class EgressSettings(Section, frozen=True):
    allow: Annotated[tuple[str, ...], Meta(description="private networks (CIDR) that sources may lie in")] = ()


class LoggingSettings(Section, frozen=True):
    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="least level to write")] = "info"
    format: Annotated[Literal["json", "console"], Meta(description="form of the lines")] = "json"


class Settings(Section, frozen=True):
    """Everything a role needs to know. See docs/operations.md for each key."""

    data_dir: Annotated[Path, Meta(description="what this machine keeps; default $XDG_DATA_HOME/reelway")] = (
        msgspec.field(default_factory=lambda: default_data_dir(os.environ))
    )
    redis: RedisSettings = RedisSettings()
    kernel: KernelSettings = KernelSettings()
    storage: StorageSettings = StorageSettings()
    media: MediaSettings = MediaSettings()
    ingest: IngestSettings = IngestSettings()
    fetch: FetchSettings = FetchSettings()
    transcode: TranscodeSettings = TranscodeSettings()
    store: StoreSettings = StoreSettings()
    notify: NotifySettings = NotifySettings()
    reaper: ReaperSettings = ReaperSettings()
    gateway: GatewaySettings = GatewaySettings()
    egress: EgressSettings = EgressSettings()
    logging: LoggingSettings = LoggingSettings()

    @property
    def storage_url(self) -> str:
        """The storage's address, with the default filled in."""
        return self.storage.url or (self.data_dir / "storage").as_uri()

    @property
    def scratch_dir(self) -> Path:
        """Where this node keeps files that no other process needs."""
        return self.data_dir / "scratch"


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


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """$XDG_DATA_HOME/reelway, or ~/.local/share/reelway."""
    base = environ.get("XDG_DATA_HOME") or ""
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return root / "reelway"


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
        flat = (
            {f"{name}.{field}": value for field, value in entry.items()} if (isinstance(entry, dict)) else {name: entry}
        )
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
