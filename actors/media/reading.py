"""Reading the bodies of a job inside a handler, where one that does not fit is a failure with a code."""

from typing import TypeVar

import msgspec

from actors.media.errors import MediaError
from actors.media.task import Body, JobSpec, decode

B = TypeVar("B", bound=Body)


def read_body(kind: type[B], data: bytes) -> B:
    """Like decode, for handlers: a body that does not fit raises MediaError UNREADABLE."""
    try:
        return decode(kind, data)
    except msgspec.MsgspecError as error:
        raise MediaError("UNREADABLE", str(error)) from error


def read_spec(data: bytes) -> JobSpec:
    """The spec of a job, for handlers."""
    return read_body(JobSpec, data)
