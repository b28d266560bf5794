"""How the settings name an installation, and what must be true of its Redis before a role starts."""

import asyncio

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from actors.kernel import KernelOptions, RedisOptions, connect, means_wait
from actors.settings import Settings
from actors.settings_values import SettingsError

FORMAT_VERSION = 1
META = "rw:{sys}:meta"
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.05, 1.0
log = structlog.get_logger("installation")


def redis_options(settings: Settings) -> RedisOptions:
    """The connection that the settings name."""
    password = settings.redis.password
    return RedisOptions(
        url=settings.redis.url,
        username=settings.redis.username,
        password=None if password is None else password.reveal(),
    )


def kernel_options(settings: Settings) -> KernelOptions:
    """The kernel's options that the settings name."""
    return KernelOptions(**msgspec.structs.asdict(settings.kernel))


async def check_installation(settings: Settings) -> None:
    """Wait for Redis, then compare it with the settings.

    Raises SettingsError when Redis would evict keys, or when the installation was made with
    another number of partitions or another format of its data.
    """
    client = connect(redis_options(settings), connections=1)
    try:
        policy, facts = await _read(client, settings.redis.partitions)
    finally:
        await client.aclose()
    if policy != "noeviction":
        raise SettingsError(
            f"Redis is set to drop keys when its memory is full (maxmemory-policy {policy}), which would lose jobs: "
            "set maxmemory-policy to noeviction."
        )
    if facts["partitions"] != str(settings.redis.partitions):
        raise SettingsError(
            f"redis.partitions is {settings.redis.partitions}, but this installation was made with "
            f"{facts['partitions']}: the number cannot be changed later."
        )
    if facts["format"] != str(FORMAT_VERSION):
        raise SettingsError(
            f"Redis holds data of format {facts['format']}, and this program reads {FORMAT_VERSION}: "
            "use the version of Reelway that wrote it."
        )


async def _read(client: Redis, partitions: int) -> tuple[str, dict[str, str]]:
    """The eviction policy, and what is recorded about the installation; the first role records it."""
    delay_s = _FIRST_DELAY_S
    while True:
        try:
            memory = await client.info("memory")
            await client.hsetnx(META, "partitions", str(partitions))
            await client.hsetnx(META, "format", str(FORMAT_VERSION))
            meta = await client.hgetall(META)
        except (RedisError, OSError) as error:
            if not means_wait(error):
                raise SettingsError(f"Redis at redis.url refuses to work with us: {error}.") from error
            log.warning("redis.awaited", error=str(error))
        else:
            policy = str(memory.get("maxmemory_policy", "noeviction"))
            return policy, {_text(name): _text(value) for name, value in meta.items()}
        await asyncio.sleep(delay_s)
        delay_s = min(delay_s * 2, _LONGEST_DELAY_S)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
