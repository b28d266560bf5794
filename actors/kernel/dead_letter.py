"""One dead letter: what is kept of a job that died, and which of them somebody means."""

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from actors.kernel.newest import Place
from actors.kernel.scripts import text

Why = Literal["transient", "permanent", "stalled", "crash_loop", "child"]
WHYS: tuple[Why, ...] = get_args(Why)
_CRASH_LOOP = "CRASH_LOOP"


class DeadFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters are meant; what is None does not matter."""

    stage: str | None = None
    tenant: str | None = None
    kind: str | None = None
    code: str | None = None
    """Of the last error."""
    why: Why | None = None
    since_ms: int | None = None
    """Died at this time or later."""
    until_ms: int | None = None
    """Died at this time or earlier."""

    def matches(self, letter: "DeadLetter") -> bool:
        """Whether the letter is meant, its time left aside."""
        return (
            self.stage in (None, letter.stage)
            and self.tenant in (None, letter.tenant)
            and self.kind in (None, letter.kind)
            and self.code in (None, letter.code)
            and self.why in (None, letter.why)
        )


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One job that died."""

    job: str
    died_at_ms: int
    stage: str
    tenant: str
    kind: str
    parent: str
    """Empty for a job that is nobody's child."""
    why: Why
    """The class of the last error; crash_loop: it lost its workers; child: one of its children failed."""
    code: str
    attempt: int
    """Errors of the handler at the stage where it died."""
    crashes: int
    """Workers lost at that stage."""
    worker: str
    """The last one: host, process id and a nonce, joined by dashes."""
    fence: str
    error: bytes
    """The last error as JSON."""

    @property
    def place(self) -> Place:
        return Place(self.died_at_ms, self.job)


class _Error(msgspec.Struct, frozen=True):
    code: str = ""


class _Data(msgspec.Struct, frozen=True):
    error: msgspec.Raw


_data = msgspec.json.Decoder(_Data)
_error = msgspec.json.Decoder(_Error)
FIELDS = ("state", "stage", "tenant", "kind", "parent", "attempt", "crashes", "owner", "fence", "error", "grave")
"""What is read of the job's hash."""


def read_fields(reply: list[bytes | None] | Exception) -> dict[str, str]:
    """The fields of one job; none of a key that is no hash, which must not hide the other letters."""
    if isinstance(reply, Exception):
        if str(reply).startswith("WRONGTYPE"):
            return {}
        raise reply
    return dict(zip(FIELDS, (text(value or b"") for value in reply), strict=True))


def read_entry(found: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> dict[str, str]:
    """The fields of an entry of `dead:<stage>`, as XRANGE answers it; none when it is gone."""
    return {text(name): text(value) for name, value in found[0][1].items()} if found else {}


def read_letter(row: Place, fields: dict[str, str], entry: dict[str, str]) -> DeadLetter:
    """From the job's hash and, where it is still there, the entry of `dead:<stage>`."""
    known = fields | entry
    error = bytes(_data.decode(entry["data"]).error) if "data" in entry else (fields["error"] or "{}").encode()
    code = _error.decode(error).code
    return DeadLetter(
        job=row.member,
        died_at_ms=row.at_ms,
        stage=known["stage"],
        tenant=known["tenant"],
        kind=known["kind"],
        parent=known["parent"],
        why=_why(known.get("why", ""), code),
        code=code,
        attempt=int(known["attempt"] or 0),
        crashes=int(known["crashes"] or 0),
        worker=known["owner"],
        fence=known["fence"],
        error=error,
    )


def _why(written: str, code: str) -> Why:
    """The entry's word; without an entry, what the error's code tells."""
    known: dict[str, Why] = {why: why for why in WHYS}
    return known.get(written, "crash_loop" if code == _CRASH_LOOP else "permanent")
