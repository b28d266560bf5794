"""A gateway's stand-in that misbehaves on demand: it breaks off, lies and refuses, as networks do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; the test's `answer` writes what it likes."""

    protocol_version = "HTTP/1.1"
    answer: Answer

    def do_GET(self) -> None:
        self.close_connection = True
        type(self).answer(self)

    do_POST = do_DELETE = do_GET  # noqa: N815  # the names that http.server calls

    def reply(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        """Answer with `body` and the claim that it is `length` bytes long."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def breaking_server(answer: Answer) -> Iterator[str]:
    """Its address."""
    handler = type("Handler", (Request,), {"answer": staticmethod(answer)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
