"""The sections of the settings tree, each key with its default and what it means."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from actors.settings_values import Secret


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """$XDG_DATA_HOME/reelway, or ~/.local/share/reelway."""
    base = environ.get("XDG_DATA_HOME") or ""
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return root / "reelway"


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file."""


class RedisSettings(Section, frozen=True):
    url: Annotated[
        str,
        Meta(
            description="redis:// or unix:// address of a server, redis+cluster://h:p,h:p of a Redis Cluster, "
            "redis+sentinel://h:p,h:p/name of a primary behind Sentinels; rediss for TLS"
        ),
    ] = "redis://127.0.0.1:6379/0"
    username: Annotated[str | None, Meta(description="ACL user")] = None
    password: Annotated[Secret | None, Meta(description="its password")] = None
    sentinel_username: Annotated[str | None, Meta(description="ACL user at the Sentinels")] = None
    sentinel_password: Annotated[Secret | None, Meta(description="its password")] = None
    ca_file: Annotated[
        str | None, Meta(description="TLS: PEM file of the authorities to trust; none: those of the system")
    ] = None
    certificate_file: Annotated[
        str | None, Meta(description="TLS: PEM file of the client's certificate, where the servers ask for one")
    ] = None
    key_file: Annotated[str | None, Meta(description="TLS: PEM file of its private key")] = None
    partitions: Annotated[
        int, Meta(ge=1, le=100, description="key partitions; fixed once the first role has started")
    ] = 16


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
    window: Annotated[
        int, Meta(ge=1, description="jobs a tenant may have in one inbox, where no worker has more slots")
    ] = 1
    tenant_limit: Annotated[int, Meta(ge=0, description="jobs of a tenant under way at once; 0: any number")] = 0
    tenant_backlog: Annotated[int, Meta(ge=1, description="held jobs of a tenant at which it must wait")] = 100_000
    partition_jobs: Annotated[int, Meta(ge=1, description="unfinished jobs of a partition, at most")] = 1_000_000
    quarantine: Annotated[str, Meta(description="take only what was replayed to this name; empty: ordinary work")] = ""


class StorageSettings(Section, frozen=True):
    url: Annotated[str, Meta(description="file:///…; empty: `storage` in the data directory")] = ""
    collect_after_s: Annotated[float, Meta(gt=0, description="age at which a folder that no job names is deleted")] = (
        600.0
    )
    results_s: Annotated[float, Meta(gt=0, description="life of published results")] = 2_592_000.0
    uploads_s: Annotated[float, Meta(gt=0, description="life of an upload no job needs")] = 86_400.0
    min_free_bytes: Annotated[
        int, Meta(ge=0, description="free space below which nothing new is taken and stages that write wait")
    ] = 2_147_483_648


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
    lane: Annotated[Literal["cpu", "gpu"], Meta(description="whose work it takes; one process serves one lane")] = "cpu"
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
    rescue_s: Annotated[
        float, Meta(gt=0, description="time without a GPU worker after which jobs that allow it go to the CPU lane")
    ] = 300.0


Duty = Literal["api", "streams", "bytes"]
"""What a gateway serves: jobs and administration; event streams; uploads and downloads."""


class GatewaySettings(Section, frozen=True):
    host: Annotated[str, Meta(description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port to listen on; 0: a free one")] = 8080
    key: Annotated[Secret | None, Meta(description="API key; none: one is generated into data_dir/gateway.key")] = None
    serve: Annotated[
        tuple[Duty, ...],
        Meta(description="what this process serves: api, streams, bytes, or some of them", min_length=1),
    ] = ("api", "streams", "bytes")
    upload_max_bytes: Annotated[int, Meta(ge=1, description="largest upload")] = 53_687_091_200
    upload_idle_s: Annotated[float, Meta(gt=0, description="longest silence within an upload")] = 60.0
    heartbeat_s: Annotated[float, Meta(gt=0, description="pause between two signs of life")] = 15.0
    stream_life_s: Annotated[float, Meta(gt=0, description="longest life of a stream")] = 600.0
    rate_requests: Annotated[
        int, Meta(ge=0, description="requests a key may send in each window, to each gateway process; 0: any number")
    ] = 6000
    rate_window_s: Annotated[int, Meta(ge=1, description="that window")] = 60
    max_streams: Annotated[int, Meta(ge=1, description="event streams open at once in one process")] = 10_000
    origins: Annotated[
        tuple[str, ...], Meta(description="origins (https://host) of other sites whose pages may open a WebSocket")
    ] = ()
    ring_events: Annotated[int, Meta(ge=0, description="recent events kept in memory for each partition")] = 4096
    ring_bytes: Annotated[int, Meta(ge=0, description="memory for them, for each partition")] = 2_097_152
    shutdown_s: Annotated[float, Meta(gt=0, description="time requests have at the end")] = 8.0


class EgressSettings(Section, frozen=True):
    allow: Annotated[tuple[str, ...], Meta(description="private networks (CIDR) that sources may lie in")] = ()


class MetricsSettings(Section, frozen=True):
    host: Annotated[str, Meta(description="address that serves metrics")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port of /metrics for roles other than gateway; 0: none")] = 0


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
    metrics: MetricsSettings = MetricsSettings()
    logging: LoggingSettings = LoggingSettings()
    limits: Annotated[
        dict[str, Annotated[int, Meta(ge=1)]],
        Meta(description="sources read at once, by platform (`youtube`) or host; a name that is missing has no limit"),
    ] = msgspec.field(default_factory=dict)

    @property
    def storage_url(self) -> str:
        """The storage's address, with the default filled in."""
        return self.storage.url or (self.data_dir / "storage").as_uri()

    @property
    def scratch_dir(self) -> Path:
        """Where this node keeps files that no other process needs."""
        return self.data_dir / "scratch"
