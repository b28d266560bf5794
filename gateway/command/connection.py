"""Which gateway the command speaks to: the one REELWAY_URL names, or the embedded instance of the data directory."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

from actors.settings import Settings, load
from actors.settings_values import SettingsError
from gateway.client.address import Address, check_url
from gateway.command.failure import CommandFailure, ExitCode
from gateway.embedded.attach import Attachment
from gateway.embedded.data_directory import DataDirectory


def load_settings(data: Path | None = None, flags: Mapping[str, str] = MappingProxyType({})) -> Settings:
    """The settings of this command; `data` is the flag that names the data directory, `flags` are others by setting."""
    try:
        return load(os.environ, None, {**flags, **({"data_dir": str(data)} if data else {})})
    except SettingsError as error:
        raise CommandFailure(
            ExitCode.USAGE, "SETTINGS_INVALID", str(error), "Correct the setting; docs/operations.md lists all of them."
        ) from error


class Connection:
    """The gateway of one command. While it is open, an embedded instance does not end.

    `address` may start an embedded instance; ask for it again after a connection was lost, since another instance may
    serve then. `begin` starts it early, without waiting.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
        self.directory = DataDirectory(settings.data_dir)
        self._given = _given_address(environ)
        self._attachment: Attachment | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether this command's gateway is the data directory's own instance."""
        return self._given is None

    @property
    def identity(self) -> str:
        """What tells this gateway from others; empty for the data directory's own."""
        return self._given.url if self._given else ""

    def begin(self) -> None:
        """Let an embedded instance start, if none serves; returns at once."""
        if self._given is None:
            self._attached().begin()

    async def address(self) -> Address:
        """Where the gateway is now."""
        if self._given is not None:
            return self._given
        instance = await self._attached().instance()
        return Address(instance.url, instance.key)

    def failing(self) -> tuple[str, ...]:
        """The parts of an embedded instance that do not start, by name."""
        return self._attachment.failing() if self._attachment else ()

    def ends_with_this_command(self) -> bool:
        """Whether the gateway is an embedded instance that a command started, so that it ends with its last user."""
        return self._attachment is not None and self._attachment.ends_when_unused()

    def _attached(self) -> Attachment:
        if self._attachment is None:
            self._attachment = Attachment(self.directory)
        return self._attachment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._attachment is not None:
            self._attachment.close()


def _given_address(environ: Mapping[str, str]) -> Address | None:
    url = environ.get("REELWAY_URL", "").rstrip("/")
    if not url:
        return None
    try:
        check_url(url)
    except ValueError as error:
        raise CommandFailure(
            ExitCode.USAGE,
            "GATEWAY_URL_INVALID",
            f"REELWAY_URL cannot be used: {error}.",
            "Give it the form http://host:port, or unset it to use the embedded cluster.",
        ) from error
    try:
        return Address(url, _given_key(environ))
    except ValueError as error:
        raise CommandFailure(
            ExitCode.USAGE, "KEY_MISSING", f"The key cannot be used: {error}.", "Correct REELWAY_KEY or its file."
        ) from error


def _given_key(environ: Mapping[str, str]) -> str:
    if key := environ.get("REELWAY_KEY"):
        return key
    key_file = environ.get("REELWAY_KEY_FILE")
    if not key_file:
        raise CommandFailure(
            ExitCode.USAGE,
            "KEY_MISSING",
            "REELWAY_URL is set, but no API key is.",
            "Set REELWAY_KEY, or REELWAY_KEY_FILE to a file that holds it.",
        )
    try:
        return Path(key_file).read_text().strip()
    except OSError as error:
        raise CommandFailure(
            ExitCode.USAGE,
            "KEY_FILE_UNREADABLE",
            f"The key file {key_file} cannot be read: {error.strerror}.",
            "Correct REELWAY_KEY_FILE.",
        ) from error
