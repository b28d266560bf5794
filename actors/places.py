"""What the settings say about places: where files lie, and where this server may connect to."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from actors.egress import EgressPolicy
from actors.settings import Settings
from actors.settings_values import SettingsError
from actors.storage import Storage, StorageError, open_storage


def storage_of(settings: Settings) -> Storage:
    """The storage that the settings name. Raises SettingsError."""
    try:
        return open_storage(settings.storage_url)
    except StorageError as error:
        raise SettingsError(f"storage.url: {error}") from None


def storage_root(settings: Settings) -> Path:
    """The folder of a local storage. Raises SettingsError."""
    storage_of(settings)
    return Path(unquote(urlsplit(settings.storage_url).path))


def egress_of(settings: Settings) -> EgressPolicy:
    """The networks that may be connected to. Raises SettingsError."""
    try:
        return EgressPolicy(settings.egress.allow)
    except ValueError as error:
        raise SettingsError(f"egress.allow: {error}.") from None
