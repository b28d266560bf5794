"""How the settings name an installation, and what must be true of its Redis before a role starts."""

import msgspec
from redis.exceptions import RedisError

from actors.kernel import (
    BadAddress,
    KernelOptions,
    Partitions,
    RedisOptions,
    UnfitServer,
    admit,
    connect,
    parse_address,
)
from actors.settings import Settings
from actors.settings_values import Secret, SettingsError


def redis_options(settings: Settings) -> RedisOptions:
    """The connection that the settings name. Raises SettingsError for an address that cannot be understood."""
    told = settings.redis
    try:
        parse_address(told.url)
    except BadAddress as error:
        raise SettingsError(f"redis.url: {error}") from error
    return RedisOptions(
        url=told.url,
        username=told.username,
        password=_revealed(told.password),
        sentinel_username=told.sentinel_username,
        sentinel_password=_revealed(told.sentinel_password),
        ca_file=told.ca_file,
        certificate_file=told.certificate_file,
        key_file=told.key_file,
    )


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def kernel_options(settings: Settings) -> KernelOptions:
    """The kernel's options that the settings name."""
    return KernelOptions(**msgspec.structs.asdict(settings.kernel))


async def check_installation(settings: Settings) -> None:
    """Wait for Redis, then compare it with the settings.

    Raises SettingsError when Redis would evict keys, is too old or refuses us, or when the
    installation was made with another number of partitions or another format of its data.
    """
    client = connect(redis_options(settings), connections=1)
    try:
        await admit(client, Partitions(settings.redis.partitions))
    except UnfitServer as error:
        raise SettingsError(str(error)) from error
    except RedisError as error:
        raise SettingsError(f"Redis at redis.url refuses to work with us: {error}.") from error
    finally:
        await client.aclose()
