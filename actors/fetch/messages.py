"""What the stage and the extractor's process say to each other: one JSON object a line."""

import msgspec


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to read. `folder` is an empty directory; `allow` the networks of the egress policy.

    `audio_only`: the result has no picture, so none is downloaded where that can be avoided.
    `codecs`: source codecs that fit the result unchanged, preferred among equals. `memory_bytes`
    bounds the address space of the process: a page may be endless.
    """

    address: str
    folder: str
    audio_only: bool
    shortest_side: int | None
    codecs: tuple[str, ...]
    allow: tuple[str, ...]
    max_bytes: int
    timeout_s: float
    parent: int
    memory_bytes: int = 3 * 1024**3


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One line of the extractor."""


class Moving(Message, frozen=True, kw_only=True, tag="moving"):
    """Bytes that have arrived; `fraction` (0..1) where fragments tell more than bytes."""

    done: int
    total: int | None = None
    fraction: float | None = None


class DirectFormat(Message, frozen=True, kw_only=True, tag="direct"):
    """The media is one file behind an address, which the stage downloads itself."""

    address: str
    headers: dict[str, str]
    name: str


class Assembled(Message, frozen=True, kw_only=True, tag="assembled"):
    """The media was put together from its fragments in `path`."""

    path: str
    name: str


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """It did not work. `exceptions` are class names, the most telling first.

    `code` is set where the extractor itself knows it; `expected` is False for what looks like a
    defect of yt-dlp.
    """

    code: str | None = None
    exceptions: tuple[str, ...] = ()
    status: int | None = None
    retry_after: str | None = None
    text: str = ""
    expected: bool = True


Said = Moving | DirectFormat | Assembled | Failed
