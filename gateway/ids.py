"""Ids that the gateway makes."""

import secrets

from ulid import ULID

from actors.kernel import Partitions


def new_request_id() -> str:
    """Names one request in the log and in its answer."""
    return f"req-{secrets.token_hex(8)}"


def new_upload_id(partitions: Partitions, tenant: str) -> str:
    """An upload's id, `u<partition>-<ulid>` in lower case."""
    return f"u{partitions.of_tenant(tenant)}-{str(ULID()).lower()}"
