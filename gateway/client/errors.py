"""What goes wrong. No text of an error holds the key."""

import msgspec

_PASSES = frozenset({408, 429, 502, 503, 504})


class GatewayError(Exception):
    """Every error of the client is one of these."""


class FieldError(msgspec.Struct, frozen=True):
    """One wrong field: `pointer` is its JSON pointer in the body, `parameter` its name in the query."""

    detail: str = ""
    pointer: str | None = None
    parameter: str | None = None
    code: str | None = None
    suggestion: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """The body of an answer that is no success (RFC 9457)."""

    code: str
    title: str = ""
    detail: str = ""
    suggestion: str = ""
    errors: tuple[FieldError, ...] = ()
    request_id: str = ""


class ProblemError(GatewayError):
    """The gateway refused a request, or could not serve it as long as that was asked for.

    `code` is stable and says what happened, `detail` why, `suggestion` what to do; `errors` names the wrong fields,
    `request_id` the line in the gateway's log. `retry_after_s` is 0 where the gateway did not say when to come back.
    """

    def __init__(self, problem: Problem, status: int, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{problem.detail or problem.title} [{problem.code}]")
        self.code = problem.code
        self.title = problem.title
        self.detail = problem.detail
        self.suggestion = problem.suggestion
        self.errors = problem.errors
        self.request_id = problem.request_id
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def passes(self) -> bool:
        """Whether the same request may well be served a little later; the client has tried that already."""
        return self.status in _PASSES


class Unreachable(GatewayError):
    """No gateway answered, or it broke off, as long as it was tried. What was accepted goes on."""


def not_a_gateway() -> Unreachable:
    """What is told of an answer that no gateway gives."""
    return Unreachable("What answers there is no Reelway gateway, or one of another time.")


class OutputDamaged(GatewayError):
    """An output arrived twice with another size or digest than its document says."""


class SourceChanged(GatewayError):
    """A file became shorter while it was sent."""
