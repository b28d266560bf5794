"""What the kernel can be told: the connection to Redis and the times and bounds of the protocol."""

import msgspec


class RedisOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach Redis or Valkey (6.2 or newer)."""

    url: str = "redis://127.0.0.1:6379/0"
    """Address of a server, a Redis Cluster or a primary behind Sentinels (see `address`). Credentials have fields."""
    username: str | None = None
    password: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    ca_file: str | None = None
    """TLS: PEM file of the authorities to trust; None: those that the system trusts."""
    certificate_file: str | None = None
    """TLS: PEM file of the client's certificate, for servers that ask for one."""
    key_file: str | None = None
    """TLS: PEM file of its private key."""
    connect_timeout_s: float = 2.0
    reply_timeout_s: float = 5.0
    """A command without a reply for so long counts as a broken connection. Blocking reads add their block time."""

    def __repr__(self) -> str:
        """Without the passwords."""
        return f"RedisOptions(url={self.url!r}, username={self.username!r})"


class KernelOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Times and bounds of leases, budgets and histories. Equal in every process of one installation."""

    lease_s: float = 10.0
    """A worker that is silent for so long has lost its stage."""
    beat_s: float = 2.5
    """Interval of heartbeats; three may be lost before a lease ends."""
    crash_budget: int = 3
    """Lost leases of one stage after which the job fails."""
    deadline_s: float = 86_400.0
    """Life of a job that does not ask for another."""
    retention_s: float = 604_800.0
    """How long a terminal job can be read after its end."""
    idempotency_s: float = 86_400.0
    """Life of an idempotency key."""
    log_length: int = 500
    """Durable events kept per job."""
    feed_length: int = 100_000
    """Durable events kept per partition (approximately), for watchers of many jobs."""
    pulse_length: int = 10_000
    """Progress reports kept per partition (approximately); they are never replayed."""
    window: int = 1
    """Hints that one tenant may have in the priority inboxes of one stage and lane; its other jobs are held.

    Where a worker has more slots, the widest one's number counts."""
    tenant_limit: int = 0
    """Jobs of one tenant that may be under way at once, where the tenant has no limit of its own; 0: any number."""
    tenant_backlog: int = 100_000
    """Held jobs of one tenant beyond which its submissions are refused."""
    partition_jobs: int = 1_000_000
    """Unfinished jobs of one partition beyond which submissions are refused."""
    quarantine: str = ""
    """Name of a quarantine worker: takes only what was replayed to it. Empty: an ordinary worker."""

    @property
    def lease_ms(self) -> int:
        return round(self.lease_s * 1000)

    def common_arguments(self) -> list[str]:
        """ARGV 1..6 of every verb (see lua/parts/context.lua)."""
        retention_ms = round(self.retention_s * 1000)
        numbers = (self.feed_length, self.pulse_length, self.log_length, retention_ms, self.window, self.tenant_limit)
        return [str(number) for number in numbers]


class ActorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one actor."""

    concurrency: int = 4
    """Jobs at once."""
    stall_timeout_s: float = 60.0
    """A job whose own progress stands still for so long is stopped and fails as stalled."""
    kill_grace_s: float = 5.0
    """How long a stopped handler may take to end; then its beats stop and the reaper decides."""
    drain_grace_s: float = 25.0
    """How long a drain waits for running jobs before it gives them back."""
