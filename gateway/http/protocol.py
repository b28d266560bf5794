"""The HTTP/1.1 connection: what aiohttp says by itself, before there is a request that a handler could answer."""

import structlog
from aiohttp import web

from gateway.http.problems import Problem, render
from gateway.ids import new_request_id

_log = structlog.get_logger(__name__)


class GatewayProtocol(web.RequestHandler):
    """aiohttp's connection. Bytes that are no request are answered with a problem like everything else.

    Their content is not logged: it may be a key that was sent in a wrong place.
    """

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what was sent
    ) -> web.StreamResponse:
        """The answer to a request that could not be read, or to an error outside of every handler."""
        request_id = new_request_id()
        if status < 500:
            _log.info("request.malformed", request_id=request_id, error=type(exc).__name__)
        else:
            _log.error("connection.failed", request_id=request_id, exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("another answer has begun")
        response = render(Problem("BAD_REQUEST" if status < 500 else "INTERNAL", status=status), request_id)
        response.headers["X-Request-Id"] = request_id
        response.headers["Server"] = "reelway"
        response.force_close()
        return response
