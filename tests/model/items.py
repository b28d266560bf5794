"""What a commit carries, as far as the model looks at it."""

from typing import Literal, NamedTuple


class Item(NamedTuple):
    """One result."""

    job: str
    fence: str
    kind: Literal["next", "split", "done"]
    stage: str = ""
    lane: str = "cpu"
    rescue: bool = False
    percent: float | None = None
    reach: float = 100.0
    keep: str = ""
