"""Who asks. Every handler works for a principal and sees only what is its tenant's."""

from dataclasses import dataclass

DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `name` goes into logs and into `cancelled by`; it is no secret."""

    tenant: str
    name: str
