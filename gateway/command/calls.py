"""The client of the HTTP API for a command, which does one thing at a time: its calls run to their end one by one."""

from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeVar

from gateway.client.errors import GatewayError, OutputDamaged, ProblemError, SourceChanged
from gateway.command.connection import Connection
from gateway.command.failure import CommandFailure, ExitCode
from gateway.command.interrupts import held, in_order

if TYPE_CHECKING:
    import asyncio

    from gateway.client import Client

Answer = TypeVar("Answer")


class Calls:
    """While it is open, `client` speaks to the gateway of `connection`, on an event loop that turns only in a call."""

    client: "Client"
    _runner: "asyncio.Runner"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, call: Coroutine[Any, Any, Answer]) -> Answer:
        """What `call` returns. Raises `CommandFailure`, and `KeyboardInterrupt` once a signal has ended it in order."""
        from asyncio import CancelledError

        interrupted = False

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            loop.call_soon_threadsafe(task.cancel)

        loop = self._runner.get_loop()
        task = loop.create_task(call)
        try:
            with in_order(interrupt):
                answer = loop.run_until_complete(task)
        except CancelledError:
            raise KeyboardInterrupt from None
        except GatewayError as error:
            if not interrupted:
                raise failure_of(error) from error
            raise KeyboardInterrupt from None
        if interrupted:
            raise KeyboardInterrupt
        return answer

    def each(self, items: AsyncGenerator[Answer, None]) -> Iterator[Answer]:
        """The items one by one."""

        async def step() -> Answer | None:
            return await anext(items, None)

        async def close() -> None:
            await items.aclose()

        try:
            while (item := self.run(step())) is not None:
                yield item
        finally:
            self.run(close())

    def __enter__(self) -> Self:
        # In this order: an embedded cluster starts while the client is imported, which takes longer than all the rest.
        with held():
            self._connection.begin()
            import asyncio

            from gateway.client import Client

        self._runner = asyncio.Runner()
        self.client = Client.at(self._connection.address)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.run(self.client.close())
        finally:
            self._runner.close()


def failure_of(error: GatewayError) -> CommandFailure:
    """How the command tells an error of the client."""
    match error:
        case ProblemError():
            is_trouble = error.passes or error.status >= 500
            return CommandFailure(
                ExitCode.UNREACHABLE if is_trouble else ExitCode.USAGE,
                error.code,
                error.detail or error.title,
                error.suggestion,
            )
        case SourceChanged():
            return CommandFailure(
                ExitCode.USAGE,
                "FILE_CHANGED",
                str(error),
                "Wait until whatever writes it has finished, then try again.",
            )
        case OutputDamaged():
            return CommandFailure(
                ExitCode.UNREACHABLE,
                "OUTPUT_DAMAGED",
                str(error),
                "Check the network and the gateway's storage, then run the same command again.",
            )
    return CommandFailure(
        ExitCode.UNREACHABLE,
        "GATEWAY_UNREACHABLE",
        str(error),
        "Check REELWAY_URL and that the gateway runs; what was accepted goes on without this command.",
    )
