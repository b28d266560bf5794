"""A part of a measurement in a process of its own: it answers one call after the other, over a pipe."""

import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

Part = TypeVar("Part")
Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")
END_S = 10.0


class Apart(Generic[Part]):
    """The process of one `Part`, which is made there. It is killed at the end of the `with` block."""

    def __init__(self, part: Callable[[], Part]) -> None:
        self._pipe, theirs = get_context("spawn").Pipe()
        self._process = get_context("spawn").Process(target=_live, args=(part, theirs), daemon=True)
        self._theirs = theirs

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join(END_S)

    def ask(
        self,
        method: Callable[Concatenate[Part, Arguments], Value],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Value:
        """Calls a method of the part and waits for its answer. Raises what it raised, or EOFError if it has ended."""
        self._pipe.send((method.__name__, args, kwargs))
        answer: Value | BaseException = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _live(part: Callable[[], Any], pipe: Connection) -> None:
    # Ctrl-C is for the bench, which ends its processes in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    made = part()
    serve = getattr(made, "serve", None)
    if serve is not None:
        serve(pipe)
        return
    while answer(pipe, made):
        pass


def answer(pipe: Connection, part: Any) -> bool:
    """Waits for a call and answers it; False when there is nobody any more."""
    try:
        method, args, kwargs = pipe.recv()
    except EOFError:
        return False
    try:
        said = getattr(part, method)(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - it is raised where the call was made
        said = error
    pipe.send(said)
    return True
