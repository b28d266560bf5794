"""What a check found."""

import msgspec


class Violation(msgspec.Struct, frozen=True):
    """One broken promise. `check` names the function that found it, `job` the job it is about, if it is about one."""

    check: str
    message: str
    job: str | None = None
