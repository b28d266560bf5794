"""One conversion from a source to a file: submit, follow, download; taken up again after a kill."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from actors.media.errors import MediaError, error_table
from actors.media.spec import check_spec
from actors.media.task import UPLOAD_PREFIX, JobSpec
from gateway.client.documents import Job, Output
from gateway.command.calls import Calls
from gateway.command.connection import Connection
from gateway.command.failure import CommandFailure, ExitCode
from gateway.command.following import follow
from gateway.command.interrupts import held
from gateway.command.ledger import Entry, LedgerEntry
from gateway.command.progress import Display, byte_speed
from gateway.command.source import Source
from gateway.command.target import Target

_CANCELLED_WITHIN_S = 3.0
_SPEED_KNOWN_AFTER_S = 0.3


class Wish(msgspec.Struct, frozen=True):
    """What the user wants made of a source. `quality` None is the format's default."""

    format: str
    quality: str | None

    def check(self, source: Source) -> None:
        """Raise `CommandFailure` for what every gateway would refuse, before anything is started or sent."""
        spec = JobSpec(source=source.address or f"{UPLOAD_PREFIX}unsent", format=self.format, quality=self.quality)
        for problem in check_spec(spec):
            raise refusal(problem.error)


class Interrupted(Exception):
    """The user ended the conversion; `job` is the cancelled job, None if there was none yet or it is not known."""

    def __init__(self, job: Job | None) -> None:
        super().__init__("interrupted")
        self.job = job


class Conversion:
    """`run` does all of it. Every step may be repeated by another process that makes the same conversion."""

    def __init__(
        self, connection: Connection, calls: Calls, source: Source, wish: Wish, target: Target, display: Display
    ) -> None:
        self._connection = connection
        self._calls = calls
        self._source = source
        self._wish = wish
        self._target = target
        self._display = display
        identity = [connection.identity, *source.identity, wish.format, wish.quality or "", str(target.path)]
        self._ledger = LedgerEntry(connection.directory.converts, identity)
        self._job: Job | None = None

    def run(self) -> Job:
        """The job in its terminal state, its result in place if it completed.

        Raises `CommandFailure` and, on Ctrl-C, `Interrupted` once the job is cancelled.
        """
        try:
            job = self._submit()
            if not job.ended:
                job = follow(self._calls, job.id, self._display, self._connection.failing)
            if job.state == "completed":
                self._download(job)
            self._ledger.forget()
            return job
        except KeyboardInterrupt:
            raise Interrupted(self._cancel()) from None
        finally:
            self._ledger.close()

    def _submit(self) -> Job:
        job = self._take_up()
        while job is None:
            self._ledger.keep(self._ledger.entry)
            job = self._send(self._source_text())
        self._job = job
        return job

    def _take_up(self) -> Job | None:
        """The job that an earlier run of this command made, if it is still of use."""
        if not self._ledger.is_old:
            return None
        entry = self._ledger.entry
        if self._source.address is None and entry.upload is None:
            return None
        try:
            job = self._send(self._source_text())
            if job.state == "completed" or not job.ended:
                return job
        except CommandFailure as failure:
            if failure.exit_code != ExitCode.USAGE:
                raise
        # It ended without anybody watching, or the gateway has forgotten what was sent.
        self._ledger.start_anew()
        return None

    def _source_text(self) -> str:
        file = self._source.file
        if file is None:
            return self._source.address or ""
        if self._ledger.entry.upload is None:
            self._ledger.keep(Entry(self._ledger.entry.idempotency_key, self._upload(file)))
        return f"{UPLOAD_PREFIX}{self._ledger.entry.upload}"

    def _send(self, source: str) -> Job:
        # Before, since an instance that has to start may take long.
        self._calls.run(self._connection.address())
        wish, key = self._wish, self._ledger.entry.idempotency_key
        with held():
            job = self._calls.run(
                self._calls.client.submit(source, wish.format, quality=wish.quality, idempotency_key=key)
            )
            self._job = job
        return job

    def _upload(self, file: Path) -> str:
        size_bytes = self._source.size_bytes
        with self._moving("upload", size_bytes) as moved:
            return self._calls.run(self._calls.client.upload(file, moved=moved)).id

    def _download(self, job: Job) -> None:
        output = job.outputs[0]
        with self._moving("save", output.size_bytes) as moved:
            save(self._calls, job.id, output, self._target, moved)

    @contextlib.contextmanager
    def _moving(self, stage: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
        # The first bytes go when the gateway is there, which may have to start first.
        first: tuple[float, int] | None = None

        def moved(done_bytes: int) -> None:
            nonlocal first
            first = first or (time.monotonic(), done_bytes)
            seconds = time.monotonic() - first[0]
            speed = (done_bytes - first[1]) / seconds if seconds > _SPEED_KNOWN_AFTER_S else 0.0
            left_s = (total_bytes - done_bytes) / speed if speed else None
            self._display.show(stage, done_bytes / max(total_bytes, 1), byte_speed(speed), left_s)

        yield moved
        self._display.finish(stage)

    def _cancel(self) -> Job | None:
        if self._job is None:
            self._ledger.forget()
            return None
        with contextlib.suppress(CommandFailure):
            job = self._calls.run(self._calls.client.cancel(self._job.id))
            if not job.ended:
                job = self._calls.run(self._calls.client.wait(job.id, _CANCELLED_WITHIN_S))
            self._target.partial(job.id).unlink(missing_ok=True)
            self._ledger.forget()
            return job
        return None


def save(calls: Calls, job: str, output: Output, target: Target, moved: Callable[[int], None]) -> None:
    """Put `output` of `job` at `target`, checked before it gets its name; `moved` hears how many bytes are there.

    Raises `CommandFailure`.
    """
    partial = target.partial(job)
    try:
        calls.run(calls.client.gather(output, partial, moved))
        target.put(partial)
    except OSError as error:
        raise CommandFailure(
            ExitCode.USAGE,
            "OUTPUT_NOT_WRITTEN",
            f"{target.path} cannot be written: {error.strerror or error}.",
            "Make room or give -o another place, and run the same command again: the result is kept.",
        ) from error


def refusal(error: MediaError) -> CommandFailure:
    """The refusal that the API would give for the same request, with the same code."""
    rule = error_table().rule(error.code)
    return CommandFailure(
        ExitCode.USAGE, error.code, error.message or rule.message, error.suggestion or rule.suggestion
    )
