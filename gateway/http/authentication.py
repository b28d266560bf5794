"""API keys: how a request proves who it is, and where the installation's key comes from."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import structlog

from actors.settings import Settings
from actors.settings_values import SettingsError
from gateway.http.problems import Problem
from gateway.principal import DEFAULT_TENANT, Principal

KEY_FILE = "gateway.key"
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="reelway"'}

_log = structlog.get_logger(__name__)


class Authenticator:
    """Knows the installation's key. It keeps the key's digest only, and compares in constant time."""

    def __init__(self, key: str) -> None:
        self._digest = _digest(key)
        self._principal = Principal(DEFAULT_TENANT, f"key-{self._digest[:8]}")

    def authenticate(self, authorization: str | None) -> Principal:
        """The principal of an Authorization header. Raises Problem UNAUTHORIZED."""
        if authorization is None:
            raise Problem("UNAUTHORIZED", detail="The request carries no API key.", headers=CHALLENGE)
        scheme, _, key = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(key.strip()), self._digest):
            raise Problem("UNAUTHORIZED", detail="The API key is not valid.", headers=CHALLENGE)
        return self._principal


def installation_key(settings: Settings) -> str:
    """The configured key, or the one that was generated into the data directory at the first start.

    Raises SettingsError when that file is empty.
    """
    if settings.gateway.key is not None:
        return settings.gateway.key.reveal()
    path = settings.data_dir / KEY_FILE
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and linked into place: of two gateways that start together one generates, both use the same.
    draft = path.with_name(f".{KEY_FILE}.{secrets.token_hex(6)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"rw_{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(descriptor)
        path.hardlink_to(draft)
        _log.info("key.generated", path=str(path))
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return _read(path)


def _read(path: Path) -> str:
    key = path.read_text("ascii").strip()
    if not key:
        raise SettingsError(f"The API key in {path} is empty: delete the file, and a new key is generated.")
    return key


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
