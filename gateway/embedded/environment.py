"""The settings of the children: those of the user, and over them what makes this cluster an embedded one."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from gateway.embedded.data_directory import DataDirectory

# What names another cluster. A child that kept one of these would work for that cluster, or clean up in its storage.
_FOREIGN_PREFIXES = ("REELWAY_REDIS_", "REELWAY_STORAGE_URL", "REELWAY_GATEWAY_KEY", "REELWAY_URL", "REELWAY_KEY")


# Without its cache Python compiles the same sources anew in each of four processes at every start, which takes longer
# than everything else together. Where the sources cannot be written next to, nothing is written.
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


def with_bytecode_cache(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process of ours that is started again and again."""
    return {name: value for name, value in environ.items() if name != _NO_BYTECODE}


def child_environment(
    environ: Mapping[str, str], directory: DataDirectory, redis_socket: Path, host: str, port: int
) -> dict[str, str]:
    """Ordinary settings for every child. Secrets travel by file only."""
    kept = {name: value for name, value in with_bytecode_cache(environ).items() if not _names_another_cluster(name)}
    return kept | {
        "REELWAY_DATA_DIR": str(directory.root),
        "REELWAY_PARTITIONS": "1",
        "REELWAY_REDIS_URL": f"unix://{quote(str(redis_socket))}",
        "REELWAY_REDIS_USERNAME": "",
        "REELWAY_REDIS_PASSWORD": "",
        "REELWAY_STORAGE_URL": directory.storage.as_uri(),
        "REELWAY_GATEWAY_HOST": host,
        "REELWAY_GATEWAY_PORT": str(port),
        "REELWAY_GATEWAY_KEY_FILE": str(directory.key_file),
    }


def ensure_key(directory: DataDirectory, own: str | None) -> str:
    """The gateway's API key: `own` when the user configured one, else the directory's, made once."""
    kept = directory.key_file.read_text().strip() if directory.key_file.exists() else ""
    key = own or kept or f"rw_{secrets.token_urlsafe(32)}"
    if key != kept:
        directory.key_file.unlink(missing_ok=True)
        descriptor = os.open(directory.key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key + "\n")
    return key


def _names_another_cluster(name: str) -> bool:
    return name.startswith(_FOREIGN_PREFIXES)
