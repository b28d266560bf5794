"""A process's own way to Redis, on which replies can be lost and nothing can pass."""

from tests.kernel.proxy import LossyProxy


class SocketProxy(LossyProxy):
    """Outlives restarts of the server: while that is down, connections are accepted and closed."""

    def restore(self) -> None:
        """Everything passes; no reply is chosen to be lost."""
        self._lose = None
        self.before = None
        self.resume()
