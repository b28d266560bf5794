"""A typed, asynchronous client of the HTTP interface; docs/client.md shows it. Files by role:

`client` what can be asked · `documents`, `events` what is answered · `errors` what goes wrong · `address` where, with
which key · `transport` one request, tried again with `patience` · `sse`, `place`, `watching` a stream that outlives its
connections · `uploading`, `downloading` files.
"""

from typing import TYPE_CHECKING, Any

from gateway.client.documents import Job, JobPage, Output, Upload
from gateway.client.errors import GatewayError, OutputDamaged, ProblemError, SourceChanged, Unreachable
from gateway.client.events import Event

if TYPE_CHECKING:
    from gateway.client.client import Client

__all__ = [
    "Client",
    "Event",
    "GatewayError",
    "Job",
    "JobPage",
    "Output",
    "OutputDamaged",
    "ProblemError",
    "SourceChanged",
    "Unreachable",
    "Upload",
]


def __getattr__(name: str) -> Any:
    # Imported when it is first asked for: its HTTP library takes longer to import than all the rest of a command, which
    # needs the documents before and can use the time while a cluster starts.
    if name == "Client":
        from gateway.client.client import Client

        return Client
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
