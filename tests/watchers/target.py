"""What a watcher follows."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

Transport = Literal["sse", "ws"]


@dataclass(frozen=True, slots=True)
class Target:
    """One job; all jobs of the tenant; or with `tag` those that carry it."""

    job: str | None = None
    tag: str | None = None

    @property
    def path(self) -> str:
        """Where its events are streamed."""
        if self.job is not None:
            return f"/v1/jobs/{self.job}/events"
        return "/v1/events" + (f"?tag={quote(self.tag)}" if self.tag is not None else "")

    @property
    def topic(self) -> str:
        """What a WebSocket calls it."""
        if self.job is not None:
            return f"job:{self.job}"
        return f"tag:{self.tag}" if self.tag is not None else "jobs"
