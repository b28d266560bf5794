"""Whether a child has started, and what it said if it did not."""

import http
import http.client
from pathlib import Path

from gateway.embedded.port import ReservedPort


def gateway_is_ready(port: ReservedPort) -> bool:
    """Whether the gateway on `port` says that it can serve."""
    host = "127.0.0.1" if port.address == "0.0.0.0" else port.address  # noqa: S104  # compared only
    connection = http.client.HTTPConnection(host, port.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def last_line(log: Path) -> str:
    """The last thing a child wrote, for the message about its failure."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "it left no log."
    return next((line for line in reversed(lines) if line.strip()), "it left an empty log.")[:500]
