"""The gateway's port: free now, and kept for every restart of the gateway."""

import errno
import socket

from gateway.embedded.failure import CannotStart


class ReservedPort:
    """A bound socket that never listens.

    With SO_REUSEADDR on both, the gateway may bind and listen on the same port, any number of times, while no other
    program gets it in between: neither by asking for a free port nor for an outgoing connection.
    """

    def __init__(self, host: str, port: int) -> None:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except socket.gaierror as error:
            raise CannotStart(
                "HOST_UNKNOWN",
                f"The host {host} has no address: {error.strerror}.",
                "Give --host an address such as 127.0.0.1.",
            ) from error
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            raise _refused(host, port, error) from error
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self.address: str = self._socket.getsockname()[0]

    def url(self) -> str:
        """Where a client on this machine reaches it."""
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)  # noqa: S104  # compared only
        return f"http://[{reachable}]:{self.port}" if ":" in reachable else f"http://{reachable}:{self.port}"

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def _refused(host: str, port: int, error: OSError) -> CannotStart:
    if error.errno == errno.EADDRINUSE:
        return CannotStart(
            "PORT_IN_USE",
            f"Port {port} on {host} is taken by another program.",
            "Give --port another number, or 0 for any free one.",
        )
    return CannotStart(
        "PORT_REFUSED",
        f"Port {port} on {host} cannot be used: {error.strerror}.",
        "Give --host an address of this machine and --port a number from 1024 on.",
    )
