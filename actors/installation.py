"""How the settings name an installation, and what must be true of its Redis before a role starts."""

import msgspec
from redis.exceptions import RedisError

from actors.kernel import KernelOptions, Partitions, RedisOptions, UnfitServer, admit, connect
from actors.settings import Settings
from actors.settings_values import SettingsError


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
